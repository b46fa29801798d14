-- Store what the wallets of the batch hold now.
INSERT INTO points.wallets AS wallet (
    program_id, member_id, currency, category, balance, deficit, total, version, held
)
SELECT *
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[],
    $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[]
)
ON CONFLICT (program_id, member_id, currency, category) DO UPDATE
    SET
        balance = excluded.balance, deficit = excluded.deficit,
        total = excluded.total, version = excluded.version, held = excluded.held
