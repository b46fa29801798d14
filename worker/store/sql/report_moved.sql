-- The points that requests have moved in each programme's period: by operation type, by reason
-- and by operator, the $4 that moved most of each, and how many there are. A conversion counts
-- once, as going out of its wallet.
WITH periods AS (
    SELECT program_id, since, until
    FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[])
        AS wanted (program_id, since, until)
),

told AS (
    SELECT
        entry.program_id, entry.currency, entry.points,
        answer.operation_type = 'MANUAL' AS is_manual,
        coalesce(nullif(answer.reason_code, ''), nullif(answer.reason, '')) AS reason,
        nullif(answer.reason_code, '') IS NOT NULL AS is_code,
        nullif(answer.adjusted_by, '') AS operator
    FROM points.journal AS entry
    INNER JOIN periods USING (program_id)
    CROSS JOIN LATERAL json_to_record(convert_from(entry.outcome, 'UTF8')::json) AS answer (
        request_id text, caused_by text, operation_type text, reason_code text, reason text,
        adjusted_by text
    )
    WHERE
        entry.recorded_at >= periods.since AND entry.recorded_at < periods.until
        AND entry.status = 'APPLIED' AND entry.points <> 0
        AND entry.event_type IN ('POINTS_ADJUSTED', 'POINTS_CONVERTED')
        AND answer.caused_by IS DISTINCT FROM answer.request_id
),

summed AS (
    SELECT
        program_id, currency,
        CASE
            WHEN grouping(is_manual) = 0 THEN 'type'
            WHEN grouping(operator) = 0 THEN 'operator'
            ELSE 'reason'
        END AS kind,
        is_manual, reason, is_code, operator,
        count(*) AS requests,
        coalesce(sum(points) FILTER (WHERE points > 0), 0) AS points_in,
        coalesce(-sum(points) FILTER (WHERE points < 0), 0) AS points_out,
        coalesce(sum(abs(points)) FILTER (WHERE told.is_manual), 0) AS manual,
        coalesce(sum(abs(points)) FILTER (WHERE NOT told.is_manual), 0) AS automatic
    FROM told
    GROUP BY GROUPING SETS (
        (program_id, currency, is_manual),
        (program_id, currency, reason, is_code),
        (program_id, currency, operator)
    )
),

ranked AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY program_id, currency, kind
            ORDER BY points_in + points_out DESC, requests DESC, reason, is_code, operator
        ) AS place,
        count(*) OVER (PARTITION BY program_id, currency, kind) AS places
    FROM summed
)

SELECT
    program_id, currency, kind, is_manual, reason, is_code, operator, requests, points_in,
    points_out, manual, automatic, places
FROM ranked
WHERE place <= $4
ORDER BY program_id, currency, kind, place
