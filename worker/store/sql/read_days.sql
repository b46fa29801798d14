-- What wallets earned and spent on each day from a day on.
SELECT
    sums.program_id, sums.member_id, sums.currency, sums.category, sums.day, sums.earned,
    sums.spent
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::date[])
    AS wanted (program_id, member_id, currency, category, since)
INNER JOIN points.day_sums AS sums
    ON
        wanted.program_id = sums.program_id AND wanted.member_id = sums.member_id
        AND wanted.currency = sums.currency AND wanted.category = sums.category
        AND wanted.since <= sums.day
