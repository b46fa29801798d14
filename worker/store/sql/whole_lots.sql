-- All open lots of members, each wallet's in the order of use.
SELECT
    lot.program_id, lot.member_id, lot.currency, lot.category,
    nullif(lot.expires_at, 'infinity') AS expires_at, lot.lot_id, lot.points, lot.remaining,
    lot.award_id, lot.award_type, lot.promotion_id
FROM unnest($1::text[], $2::text[]) AS wanted (program_id, member_id)
CROSS JOIN LATERAL (
    SELECT *
    FROM points.lots AS open
    WHERE open.program_id = wanted.program_id AND open.member_id = wanted.member_id
    ORDER BY open.currency, open.category, open.expires_at, open.lot_id
) AS lot
