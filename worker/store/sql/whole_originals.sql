-- Requests that others name: the own outcome of each that was applied, and the other side of a
-- conversion. What was early stands under the request that released it, which is found out first:
-- the journal is then read by whole keys. It must not be read by sequence, as it could be where
-- a condition says that there is an event, for that reads a member's journal from end to end.
WITH wanted AS MATERIALIZED (
    SELECT
        asked.program_id, asked.member_id, asked.request_id,
        coalesce(early.ended_by, asked.request_id) AS told_under,
        early.ended_by IS NOT NULL AS was_early, early.ended_step
    FROM unnest($1::text[], $2::text[], $3::text[]) AS asked (program_id, member_id, request_id)
    LEFT JOIN points.early_requests AS early USING (program_id, member_id, request_id)
)

SELECT
    wanted.program_id, wanted.member_id, wanted.request_id,
    entry.step = coalesce(wanted.ended_step, entry.step)
    AND (wanted.was_early OR entry.fingerprint IS NOT NULL) AS is_own,
    entry.currency, entry.category, entry.points, entry.outcome, entry.lots,
    coalesce(reversal.points, 0) AS reversed
FROM wanted
INNER JOIN points.journal AS entry
    ON
        wanted.program_id = entry.program_id AND wanted.member_id = entry.member_id
        AND wanted.told_under = entry.request_id
LEFT JOIN points.reversals AS reversal
    ON
        wanted.program_id = reversal.program_id AND wanted.member_id = reversal.member_id
        AND wanted.request_id = reversal.request_id
WHERE
    entry.status = 'APPLIED'
    AND entry.subject IS NOT DISTINCT FROM CASE WHEN wanted.was_early THEN wanted.request_id END
    -- Not the points that fell due with it.
    AND entry.event_type IS DISTINCT FROM 'POINTS_EXPIRED'
