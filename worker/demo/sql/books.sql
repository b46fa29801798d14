SELECT member_id, balance, journal.points, lots.points - deficit
FROM points.wallets AS wallet
CROSS JOIN LATERAL (
    SELECT coalesce(sum(points), 0)::bigint AS points FROM points.journal
    WHERE (program_id, member_id, currency, category)
        = (wallet.program_id, wallet.member_id, wallet.currency, wallet.category)
) AS journal
CROSS JOIN LATERAL (
    SELECT coalesce(sum(remaining), 0)::bigint AS points FROM points.lots
    WHERE (program_id, member_id, currency, category)
        = (wallet.program_id, wallet.member_id, wallet.currency, wallet.category)
) AS lots
WHERE member_id LIKE $1 ORDER BY member_id
