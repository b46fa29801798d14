-- The sweep goes through the members who are due from where it last left off. So many may be due at
-- the same instant, such as the end of a year, that the time alone does not say where that was.
CREATE INDEX members_due_in_order ON points.members (due_at, program_id, member_id)
WHERE due_at IS NOT NULL;
DROP INDEX points.members_due;
ALTER INDEX points.members_due_in_order RENAME TO members_due;
