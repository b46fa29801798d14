-- Which of the currencies some member of the programme has points in, owes points in, or holds.
SELECT coalesce(array_agg(wanted.code), '{}')
FROM unnest($2::text[]) AS wanted (code)
WHERE EXISTS (
    SELECT FROM points.wallets AS wallet
    WHERE wallet.program_id = $1 AND wallet.currency = wanted.code
        AND (wallet.balance <> 0 OR wallet.deficit <> 0 OR wallet.held <> 0)
)
