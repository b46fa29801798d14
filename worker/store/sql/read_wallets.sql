-- The wallets that the batch may change.
SELECT
    wallet.program_id, wallet.member_id, wallet.currency, wallet.category,
    wallet.balance, wallet.deficit, wallet.total, wallet.version, wallet.held
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
    AS wanted (program_id, member_id, currency, category)
INNER JOIN points.wallets AS wallet USING (program_id, member_id, currency, category)
