-- All wallets of members.
SELECT
    wallet.program_id, wallet.member_id, wallet.currency, wallet.category,
    wallet.balance, wallet.deficit, wallet.total, wallet.version, wallet.held
FROM unnest($1::text[], $2::text[]) AS wanted (program_id, member_id)
INNER JOIN points.wallets AS wallet USING (program_id, member_id)
