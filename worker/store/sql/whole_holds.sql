-- All open holds of members.
SELECT
    hold.program_id, hold.member_id, hold.hold_id, hold.currency, hold.category, hold.points,
    hold.lapses_at
FROM unnest($1::text[], $2::text[]) AS wanted (program_id, member_id)
INNER JOIN points.holds AS hold USING (program_id, member_id)
