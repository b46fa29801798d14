SELECT count(*) FROM (
    SELECT request_id < lag(request_id) OVER (PARTITION BY member_id ORDER BY sequence) AS is_late
    FROM points.journal WHERE member_id LIKE $1
) AS lines WHERE is_late
