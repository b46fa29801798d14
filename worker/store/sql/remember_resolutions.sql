-- Remember whom each request reaches by its identifier, unless that is remembered already. In key
-- order, so that two doors (one of them cut off) never wait for each other.
INSERT INTO points.resolutions (program_id, fingerprint, request_id, member_id)
SELECT
    asked.program_id,
    asked.fingerprint,
    asked.request_id,
    identifier.member_id
FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[])
    AS asked (program_id, name, fingerprint, request_id)
INNER JOIN points.identifiers AS identifier
    ON
        asked.program_id = identifier.program_id
        AND asked.name = identifier.name
        AND asked.fingerprint = identifier.fingerprint
ORDER BY asked.program_id, asked.fingerprint, asked.request_id
ON CONFLICT DO NOTHING
