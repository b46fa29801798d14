-- All open holds of members, in the order in which they lapse.
SELECT
    hold.program_id, hold.member_id, hold.hold_id, hold.currency, hold.category, hold.points,
    hold.lapses_at
FROM unnest($1::text[], $2::text[]) AS wanted (program_id, member_id)
INNER JOIN points.holds AS hold USING (program_id, member_id)
ORDER BY hold.program_id, hold.member_id, hold.lapses_at, hold.hold_id
