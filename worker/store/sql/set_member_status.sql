UPDATE points.members SET status = $3
WHERE program_id = $1 AND member_id = $2
RETURNING status, enrolled_at
