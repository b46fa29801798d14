SELECT count(*) FROM points.journal
WHERE member_id LIKE $1 AND fingerprint IS NOT NULL
