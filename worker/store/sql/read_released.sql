-- The requests that requests of the batch have released, and who waits for their answers.
SELECT
    early.program_id, early.member_id, early.ended_by, early.request_id, early.ended_step,
    early.address
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (program_id, member_id, request_id)
INNER JOIN points.early_requests AS early
    ON
        wanted.program_id = early.program_id AND wanted.member_id = early.member_id
        AND wanted.request_id = early.ended_by
ORDER BY early.program_id, early.member_id, early.ended_by, early.ended_step
