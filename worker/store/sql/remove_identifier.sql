DELETE FROM points.identifiers
WHERE program_id = $1 AND name = $2 AND fingerprint = $3 AND member_id = $4
RETURNING member_id
