-- Whom each request reached by its identifier.
SELECT
    resolution.program_id,
    resolution.fingerprint,
    resolution.request_id,
    resolution.member_id
FROM unnest($1::text[], $2::bytea[], $3::text[]) AS asked (program_id, fingerprint, request_id)
INNER JOIN points.resolutions AS resolution
    ON
        asked.program_id = resolution.program_id
        AND asked.fingerprint = resolution.fingerprint
        AND asked.request_id = resolution.request_id
