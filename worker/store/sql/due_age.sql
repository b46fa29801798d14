-- Since how many seconds the longest due member has waited, 0 where nobody is due.
SELECT coalesce(extract(EPOCH FROM now() - min(due_at)), 0)::float8
FROM points.members
WHERE due_at <= now()
