-- All that a request caused, in order, and which of it is its own outcome. What was early stands
-- under the request that it was decided with.
SELECT
    entry.program_id, entry.member_id, entry.request_id, entry.step, entry.sequence,
    entry.status, entry.event_type, entry.error_key, entry.currency, entry.category,
    entry.points, entry.balance, entry.total, entry.version, entry.fingerprint,
    entry.recorded_at, entry.outcome, entry.subject, entry.lots,
    CASE
        WHEN early.ended_by IS NULL THEN entry.fingerprint IS NOT NULL
        ELSE entry.step = early.ended_step
    END AS is_own
FROM (SELECT $1::text AS program_id, $2::text AS member_id, $3::text AS request_id) AS wanted
LEFT JOIN points.early_requests AS early USING (program_id, member_id, request_id)
INNER JOIN points.journal AS entry
    ON
        wanted.program_id = entry.program_id AND wanted.member_id = entry.member_id
        AND coalesce(early.ended_by, wanted.request_id) = entry.request_id
WHERE early.ended_by IS NULL OR entry.subject = wanted.request_id
ORDER BY entry.step
