-- Those of the members of whom the same is due as when they were found.
SELECT asked.program_id, asked.member_id, asked.due_at
FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS asked (program_id, member_id, due_at)
INNER JOIN points.members AS member USING (program_id, member_id)
WHERE member.due_at = asked.due_at
