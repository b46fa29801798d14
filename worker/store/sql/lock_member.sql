-- Lock one member, to change what is said of it.
SELECT status, enrolled_at FROM points.members WHERE program_id = $1 AND member_id = $2 FOR UPDATE
