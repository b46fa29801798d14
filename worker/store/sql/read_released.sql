-- The requests that requests of the batch have released, and who waits for their answers.
SELECT
    early.program_id, early.member_id, early.ended_by, early.request_id, early.ended_step,
    early.address
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (program_id, member_id, request_id)
CROSS JOIN LATERAL (
    SELECT *
    FROM points.early_requests AS ended
    WHERE
        ended.program_id = wanted.program_id AND ended.member_id = wanted.member_id
        AND ended.ended_by = wanted.request_id
    ORDER BY ended.ended_step
) AS early
