-- Store what wallets have earned and spent on a day.
INSERT INTO points.day_sums AS sums (
    program_id, member_id, currency, category, day, earned, spent
)
SELECT *
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::date[], $6::bigint[], $7::bigint[]
)
ON CONFLICT (program_id, member_id, currency, category, day) DO UPDATE
    SET earned = excluded.earned, spent = excluded.spent
