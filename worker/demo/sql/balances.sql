SELECT member_id, balance, total FROM points.wallets
WHERE member_id LIKE $1 ORDER BY member_id
