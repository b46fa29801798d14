WITH erased AS (
    DELETE FROM points.identifiers
    WHERE program_id = $1 AND member_id = $2
    RETURNING fingerprint
)

SELECT count(*) FROM erased
