-- What is left in the open lots of a programme, or of all for null, by the moment they expire at.
SELECT
    program_id, currency, category, nullif(expires_at, 'infinity') AS expires_at,
    sum(remaining) AS points
FROM points.lots
WHERE $1::text IS NULL OR program_id = $1
GROUP BY program_id, currency, category, expires_at
