-- The requests of members that came early and still wait, in the order of their ordinals. Member
-- by member, so that the order never tempts the planner to walk through the whole index.
SELECT
    early.program_id, early.member_id, early.request_id, early.stream, early.ordinal,
    early.body, early.fingerprint, early.publisher, early.is_trusted, early.address,
    early.deadline
FROM unnest($1::text[], $2::text[]) AS wanted (program_id, member_id)
CROSS JOIN LATERAL (
    SELECT *
    FROM points.early_requests AS waiting
    WHERE
        waiting.program_id = wanted.program_id AND waiting.member_id = wanted.member_id
        AND waiting.ended_by IS NULL
    ORDER BY waiting.stream, waiting.ordinal
) AS early
