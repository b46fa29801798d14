-- The first few open lots of each of a member's wallets, in the order of use.
SELECT
    wallet.currency, wallet.category, lot.lot_id, lot.points, lot.remaining,
    nullif(lot.expires_at, 'infinity') AS expires_at
FROM points.wallets AS wallet
CROSS JOIN LATERAL (
    SELECT open.lot_id, open.points, open.remaining, open.expires_at
    FROM points.lots AS open
    WHERE
        open.program_id = wallet.program_id AND open.member_id = wallet.member_id
        AND open.currency = wallet.currency AND open.category = wallet.category
    ORDER BY open.expires_at, open.lot_id
    LIMIT $3
) AS lot
WHERE wallet.program_id = $1 AND wallet.member_id = $2
ORDER BY wallet.currency, wallet.category, lot.expires_at, lot.lot_id
