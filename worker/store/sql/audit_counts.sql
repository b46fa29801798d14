-- What stands in a stretch of the books.
SELECT
    (
        SELECT count(*) FROM points.wallets
        WHERE (program_id, member_id) > ($1, $2) AND (program_id, member_id) <= ($3, $4)
    ) AS wallets,
    (
        SELECT count(*) FROM points.lots
        WHERE (program_id, member_id) > ($1, $2) AND (program_id, member_id) <= ($3, $4)
    ) AS lots,
    (
        SELECT count(*) FROM points.journal
        WHERE (program_id, member_id) > ($1, $2) AND (program_id, member_id) <= ($3, $4)
    ) AS entries
