-- A member's journal up to a moment, in order: what the books were made of then.
SELECT
    entry.sequence, entry.status, entry.event_type, entry.currency, entry.category,
    entry.balance, entry.total, entry.version, entry.recorded_at, entry.outcome, entry.lots
FROM points.journal AS entry
WHERE entry.program_id = $1 AND entry.member_id = $2 AND entry.recorded_at <= $3
-- What makes no event repeats the number of the event before it.
ORDER BY entry.sequence, entry.event_type IS NULL
