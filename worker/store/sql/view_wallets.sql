-- A member's wallets, with what is due and will go with the next request, and what expires next.
SELECT
    wallet.currency, wallet.category,
    wallet.balance, wallet.deficit, wallet.total, wallet.version,
    due.points AS due, next.expires_at AS next_expires_at, next.points AS next_points
FROM points.wallets AS wallet
CROSS JOIN LATERAL (
    SELECT coalesce(sum(lot.remaining), 0)::bigint AS points
    FROM points.lots AS lot
    WHERE
        lot.program_id = wallet.program_id AND lot.member_id = wallet.member_id
        AND lot.currency = wallet.currency AND lot.category = wallet.category
        AND lot.expires_at <= $3
) AS due
LEFT JOIN LATERAL (
    SELECT lot.expires_at, sum(lot.remaining)::bigint AS points
    FROM points.lots AS lot
    WHERE
        lot.program_id = wallet.program_id AND lot.member_id = wallet.member_id
        AND lot.currency = wallet.currency AND lot.category = wallet.category
        AND lot.expires_at > $3 AND lot.expires_at < 'infinity'
    GROUP BY lot.expires_at
    ORDER BY lot.expires_at
    LIMIT 1
) AS next ON TRUE
WHERE wallet.program_id = $1 AND wallet.member_id = $2
ORDER BY wallet.currency, wallet.category
