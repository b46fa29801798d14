-- The lines of the journal that do not follow from the line before them in their wallet.
SELECT *
FROM (
    SELECT
        program_id, member_id, currency, category, sequence, request_id, status,
        points, balance, total, version,
        lag(balance, 1, 0::bigint) OVER wallet_order AS balance_before,
        lag(total, 1, 0::bigint) OVER wallet_order AS total_before,
        lag(version, 1, 0::bigint) OVER wallet_order AS version_before
    FROM points.journal
    WHERE
        (program_id, member_id) > ($1, $2) AND (program_id, member_id) <= ($3, $4)
        AND currency IS NOT NULL
    -- What makes no event repeats the number of the event before it.
    WINDOW wallet_order AS (
        PARTITION BY program_id, member_id, currency, category
        ORDER BY sequence, event_type IS NULL
    )
) AS entry
WHERE
    balance::numeric <> balance_before::numeric + points
    OR total < total_before OR total::numeric > total_before::numeric + greatest(points, 0)
    OR version::numeric <> version_before::numeric + (status = 'APPLIED')::integer
ORDER BY program_id, member_id, currency, category, sequence
LIMIT $5
