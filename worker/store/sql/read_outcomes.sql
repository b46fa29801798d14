-- The next answers of a member, in the order of the primary key.
SELECT request_id, step, outcome
FROM points.journal
WHERE program_id = $1 AND member_id = $2 AND (request_id, step) > ($3, $4)
ORDER BY request_id, step
LIMIT $5
