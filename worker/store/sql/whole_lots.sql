-- All open lots of members, each wallet's in the order of use.
SELECT
    lot.program_id, lot.member_id, lot.currency, lot.category,
    nullif(lot.expires_at, 'infinity') AS expires_at, lot.lot_id, lot.points, lot.remaining,
    lot.award_id, lot.award_type, lot.promotion_id
FROM unnest($1::text[], $2::text[]) AS wanted (program_id, member_id)
INNER JOIN points.lots AS lot USING (program_id, member_id)
ORDER BY lot.program_id, lot.member_id, lot.currency, lot.category, lot.expires_at, lot.lot_id
