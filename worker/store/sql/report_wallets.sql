-- What the wallets of a programme, or of all for null, hold together.
SELECT
    program_id, currency, category, count(*) AS wallets,
    sum(balance) AS balance, sum(deficit) AS deficit, sum(held) AS held
FROM points.wallets
WHERE $1::text IS NULL OR program_id = $1
GROUP BY program_id, currency, category
