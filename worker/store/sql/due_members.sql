-- The members of whom something may be due at $1 (null: now), the longest due first.
SELECT program_id, member_id, due_at
FROM points.members
WHERE due_at <= coalesce($1::timestamptz, now())
ORDER BY due_at
LIMIT $2
