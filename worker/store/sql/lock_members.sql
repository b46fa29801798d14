-- Lock the members of the batch in key order. A lock wait does not refresh this statement's
-- snapshot, but the locked rows themselves come in their newest version; all that depends on
-- them is read by the statements that follow.
SELECT
    member.program_id, member.member_id, member.sequence, member.last_recorded_at,
    member.due_at, member.has_streams, member.status, member.enrolled_at IS NOT NULL AS is_enrolled
FROM unnest($1::text[], $2::text[]) AS wanted (program_id, member_id)
INNER JOIN points.members AS member USING (program_id, member_id)
ORDER BY member.program_id, member.member_id
FOR UPDATE OF member
