SELECT member_id, sequence, request_id FROM points.journal
WHERE member_id LIKE $1 ORDER BY member_id, sequence
