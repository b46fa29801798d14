UPDATE points.members SET enrolled_at = clock_timestamp()
WHERE program_id = $1 AND member_id = $2
RETURNING status, enrolled_at
