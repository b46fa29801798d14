-- Of the requests of the batch, those that once waited and have been decided, with their answers:
-- each stands under the request that released it. They are found first, so that the journal is
-- read by whole keys: it would be read member by member where it is believed to be small.
WITH early AS MATERIALIZED (
    SELECT program_id, member_id, request_id, fingerprint, ended_by, ended_step
    FROM unnest($1::text[], $2::text[], $3::text[])
        AS wanted (program_id, member_id, request_id)
    INNER JOIN points.early_requests USING (program_id, member_id, request_id)
)

SELECT
    early.request_id AS early_id, early.fingerprint AS early_fingerprint,
    entry.program_id, entry.member_id, entry.request_id, entry.step, entry.sequence,
    entry.status, entry.event_type, entry.error_key, entry.currency, entry.category,
    entry.points, entry.balance, entry.total, entry.version, entry.fingerprint,
    entry.recorded_at, entry.outcome, entry.subject, entry.lots
FROM early
INNER JOIN points.journal AS entry
    ON
        early.program_id = entry.program_id AND early.member_id = entry.member_id
        AND early.ended_by = entry.request_id AND early.ended_step = entry.step
