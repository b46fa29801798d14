-- The digest of the key of identifiers, null where none is recorded; and whether any identifier
-- leads to a member, or ever led a request to one.
SELECT
    (SELECT digest FROM points.identifier_key) AS digest,
    EXISTS (SELECT FROM points.identifiers) OR EXISTS (SELECT FROM points.resolutions) AS is_needed
