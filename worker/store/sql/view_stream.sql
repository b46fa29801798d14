-- The newest of a member's events before a sequence number, newest first.
SELECT
    entry.program_id, entry.member_id, entry.request_id, entry.step, entry.sequence,
    entry.status, entry.event_type, entry.error_key, entry.currency, entry.category,
    entry.points, entry.balance, entry.total, entry.version, entry.fingerprint,
    entry.recorded_at, entry.outcome, entry.subject, entry.lots
FROM points.journal AS entry
WHERE
    entry.program_id = $1 AND entry.member_id = $2
    AND entry.event_type IS NOT NULL AND entry.sequence < $3
ORDER BY entry.sequence DESC
LIMIT $4
