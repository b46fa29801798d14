-- Requests that others name: the own outcome of each that was applied, and the other side of a
-- conversion. What was early stands under the request that released it.
SELECT
    wanted.program_id, wanted.member_id, wanted.request_id,
    entry.step = coalesce(early.ended_step, entry.step)
    AND (early.ended_by IS NOT NULL OR entry.fingerprint IS NOT NULL) AS is_own,
    entry.currency, entry.category, entry.points, entry.outcome, entry.lots,
    coalesce(reversal.points, 0) AS reversed
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (program_id, member_id, request_id)
LEFT JOIN points.early_requests AS early USING (program_id, member_id, request_id)
INNER JOIN points.journal AS entry
    ON
        wanted.program_id = entry.program_id AND wanted.member_id = entry.member_id
        AND coalesce(early.ended_by, wanted.request_id) = entry.request_id
LEFT JOIN points.reversals AS reversal
    ON
        wanted.program_id = reversal.program_id AND wanted.member_id = reversal.member_id
        AND wanted.request_id = reversal.request_id
WHERE
    entry.status = 'APPLIED'
    AND entry.subject IS NOT DISTINCT FROM
    CASE WHEN early.ended_by IS NOT NULL THEN wanted.request_id END
    AND entry.event_type IN ('POINTS_ADJUSTED', 'POINTS_CONVERTED', 'POINTS_HELD')
