-- The members of whom something may be due, the longest due first, behind the one given (null: all).
SELECT program_id, member_id, due_at
FROM points.members
WHERE
    due_at <= now()
    AND (due_at, program_id, member_id)
    > (coalesce($1::timestamptz, '-infinity'), coalesce($2::text, ''), coalesce($3::text, ''))
ORDER BY due_at, program_id, member_id
LIMIT $4
