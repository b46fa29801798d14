-- Whatever the requests of the batch have caused before, in the order in which it happened.
SELECT
    entry.program_id, entry.member_id, entry.request_id, entry.step, entry.sequence,
    entry.status, entry.event_type, entry.error_key, entry.currency, entry.category,
    entry.points, entry.balance, entry.total, entry.version, entry.fingerprint,
    entry.recorded_at, entry.outcome, entry.subject, entry.lots
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (program_id, member_id, request_id)
INNER JOIN points.journal AS entry USING (program_id, member_id, request_id)
ORDER BY entry.program_id, entry.member_id, entry.request_id, entry.step
