-- Waiting requests whose turn or end may have come, with all that is needed to decide and answer
-- them.
SELECT
    early.program_id, early.member_id, early.request_id, early.stream, early.ordinal,
    early.body, early.fingerprint, early.publisher, early.is_trusted, early.address,
    early.deadline
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (program_id, member_id, request_id)
INNER JOIN points.early_requests AS early USING (program_id, member_id, request_id)
