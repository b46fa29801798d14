-- The wallets that are not what their journal and their lots make them.
WITH entries AS (
    SELECT
        program_id, member_id, currency, category,
        sum(points) AS points, count(*) FILTER (WHERE status = 'APPLIED') AS changes
    FROM points.journal
    WHERE
        (program_id, member_id) > ($1, $2) AND (program_id, member_id) <= ($3, $4)
        AND currency IS NOT NULL
    GROUP BY program_id, member_id, currency, category
),

-- What makes no event repeats the number of the event before it.
newest AS (
    SELECT DISTINCT ON (program_id, member_id, currency, category)
        program_id, member_id, currency, category, balance, total, version
    FROM points.journal
    WHERE
        (program_id, member_id) > ($1, $2) AND (program_id, member_id) <= ($3, $4)
        AND currency IS NOT NULL
    ORDER BY
        program_id, member_id, currency, category, sequence DESC, (event_type IS NULL) DESC
),

open_lots AS (
    SELECT program_id, member_id, currency, category, sum(remaining) AS points
    FROM points.lots
    WHERE (program_id, member_id) > ($1, $2) AND (program_id, member_id) <= ($3, $4)
    GROUP BY program_id, member_id, currency, category
),

open_holds AS (
    SELECT program_id, member_id, currency, category, sum(points) AS points
    FROM points.holds
    WHERE (program_id, member_id) > ($1, $2) AND (program_id, member_id) <= ($3, $4)
    GROUP BY program_id, member_id, currency, category
),

wallets AS (
    SELECT program_id, member_id, currency, category, balance, deficit, total, version, held
    FROM points.wallets
    WHERE (program_id, member_id) > ($1, $2) AND (program_id, member_id) <= ($3, $4)
),

compared AS (
    SELECT
        program_id, member_id, currency, category,
        coalesce(wallets.balance, 0) AS balance, coalesce(wallets.deficit, 0) AS deficit,
        coalesce(wallets.total, 0) AS total, coalesce(wallets.version, 0) AS version,
        coalesce(wallets.held, 0) AS held,
        coalesce(entries.points, 0) AS journal_points,
        coalesce(entries.changes, 0) AS journal_changes,
        coalesce(open_lots.points, 0) AS lot_points,
        coalesce(open_holds.points, 0) AS hold_points,
        coalesce(newest.balance, 0) AS newest_balance,
        coalesce(newest.total, 0) AS newest_total,
        coalesce(newest.version, 0) AS newest_version
    FROM wallets
    FULL JOIN entries USING (program_id, member_id, currency, category)
    FULL JOIN open_lots USING (program_id, member_id, currency, category)
    FULL JOIN open_holds USING (program_id, member_id, currency, category)
    FULL JOIN newest USING (program_id, member_id, currency, category)
)

SELECT * FROM compared
WHERE
    balance <> journal_points OR balance <> newest_balance
    OR balance::numeric <> lot_points - deficit OR (deficit > 0 AND lot_points > 0)
    OR held <> hold_points
    OR total <> newest_total OR version <> newest_version OR version <> journal_changes
ORDER BY program_id, member_id, currency, category
LIMIT $5
