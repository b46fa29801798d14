-- Of each wallet: every lot that is due at `now`, and after these, in the order of use, as many
-- as it takes to cover what its debits may consume. The walk goes from lot to lot along the
-- primary key and stops there, so what it costs does not depend on the lots it leaves alone.
SELECT
    wanted.program_id, wanted.member_id, wanted.currency, wanted.category,
    nullif(walk.expires_at, 'infinity') AS expires_at, walk.lot_id, walk.points, walk.remaining,
    walk.award_id, walk.award_type, walk.promotion_id
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[])
    AS wanted (program_id, member_id, currency, category, cover, now)
CROSS JOIN LATERAL (
    WITH RECURSIVE walk AS (
        (
            SELECT
                lot.expires_at, lot.lot_id, lot.points, lot.remaining,
                lot.award_id, lot.award_type, lot.promotion_id,
                CASE WHEN lot.expires_at > wanted.now THEN lot.remaining ELSE 0 END::numeric
                    AS covered
            FROM points.lots AS lot
            WHERE
                lot.program_id = wanted.program_id AND lot.member_id = wanted.member_id
                AND lot.currency = wanted.currency AND lot.category = wanted.category
            ORDER BY lot.expires_at, lot.lot_id
            LIMIT 1
        )
        UNION ALL
        SELECT
            next.expires_at, next.lot_id, next.points, next.remaining,
            next.award_id, next.award_type, next.promotion_id,
            walk.covered
            + CASE WHEN next.expires_at > wanted.now THEN next.remaining ELSE 0 END
        FROM walk
        CROSS JOIN LATERAL (
            SELECT
                lot.expires_at, lot.lot_id, lot.points, lot.remaining,
                lot.award_id, lot.award_type, lot.promotion_id
            FROM points.lots AS lot
            WHERE
                lot.program_id = wanted.program_id AND lot.member_id = wanted.member_id
                AND lot.currency = wanted.currency AND lot.category = wanted.category
                AND (lot.expires_at, lot.lot_id) > (walk.expires_at, walk.lot_id)
            ORDER BY lot.expires_at, lot.lot_id
            LIMIT 1
        ) AS next
        WHERE walk.covered < wanted.cover OR next.expires_at <= wanted.now
    )

    SELECT * FROM walk
) AS walk
ORDER BY wanted.program_id, wanted.member_id, wanted.currency, wanted.category,
    walk.expires_at, walk.lot_id
