-- Make sure that every member of the batch has a row to lock, in key order.
INSERT INTO points.members (program_id, member_id)
SELECT program_id, member_id
FROM unnest($1::text[], $2::text[]) AS wanted (program_id, member_id)
ORDER BY program_id COLLATE "C", member_id COLLATE "C"
ON CONFLICT (program_id, member_id) DO NOTHING
