SELECT count(*), count(DISTINCT (member_id, request_id)) FROM points.journal
WHERE member_id LIKE $1 AND status = 'APPLIED'
