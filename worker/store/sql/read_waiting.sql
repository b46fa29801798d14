-- The requests of members that came early and still wait, in the order of their ordinals.
SELECT
    early.program_id, early.member_id, early.request_id, early.stream, early.ordinal,
    early.body, early.fingerprint, early.publisher, early.is_trusted, early.address,
    early.deadline
FROM unnest($1::text[], $2::text[]) AS wanted (program_id, member_id)
INNER JOIN points.early_requests AS early USING (program_id, member_id)
WHERE early.ended_by IS NULL
ORDER BY early.program_id, early.member_id, early.stream, early.ordinal
