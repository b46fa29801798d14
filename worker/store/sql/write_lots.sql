-- Store the lots that the batch made and what is left of those it consumed; an exhausted lot
-- (0 remaining) goes. A lot that got points back may be fuller than it was known to be. One made
-- and used up within the batch was never stored and is not sent.
WITH changed AS (
    SELECT
        program_id, member_id, currency, category,
        coalesce(expires_at, 'infinity') AS expires_at, lot_id, points, remaining, is_new,
        award_id, award_type, promotion_id
    FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[],
        $7::bigint[], $8::bigint[], $9::boolean[], $10::text[], $11::text[], $12::text[]
    ) AS wanted (
        program_id, member_id, currency, category, expires_at, lot_id, points, remaining, is_new,
        award_id, award_type, promotion_id
    )
),

made AS (
    INSERT INTO points.lots (
        program_id, member_id, currency, category, expires_at, lot_id, points, remaining,
        award_id, award_type, promotion_id
    )
    SELECT
        program_id, member_id, currency, category, expires_at, lot_id, points, remaining,
        award_id, award_type, promotion_id
    FROM changed
    WHERE is_new
),

shrunk AS (
    UPDATE points.lots AS lot
    SET remaining = changed.remaining, points = changed.points
    FROM changed
    WHERE
        NOT changed.is_new AND changed.remaining > 0
        AND lot.program_id = changed.program_id AND lot.member_id = changed.member_id
        AND lot.currency = changed.currency AND lot.category = changed.category
        AND lot.expires_at = changed.expires_at AND lot.lot_id = changed.lot_id
)

DELETE FROM points.lots AS lot
USING changed
WHERE
    NOT changed.is_new AND changed.remaining = 0
    AND lot.program_id = changed.program_id AND lot.member_id = changed.member_id
    AND lot.currency = changed.currency AND lot.category = changed.category
    AND lot.expires_at = changed.expires_at AND lot.lot_id = changed.lot_id
