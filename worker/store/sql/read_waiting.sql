-- The requests that came early and still wait: all of some members, each stream's in the order of
-- their ordinals, and of others those that requests of the batch are repeats of. Their content is
-- read by `read_turns`. Member by member, so that the order never tempts the planner to walk
-- through the whole index.
SELECT
    early.program_id, early.member_id, early.request_id, early.stream, early.ordinal,
    early.fingerprint, early.deadline
FROM unnest($1::text[], $2::text[]) AS wanted (program_id, member_id)
CROSS JOIN LATERAL (
    SELECT *
    FROM points.early_requests AS waiting
    WHERE
        waiting.program_id = wanted.program_id AND waiting.member_id = wanted.member_id
        AND waiting.ended_by IS NULL
    ORDER BY waiting.stream, waiting.ordinal
) AS early
UNION ALL
SELECT
    early.program_id, early.member_id, early.request_id, early.stream, early.ordinal,
    early.fingerprint, early.deadline
FROM unnest($3::text[], $4::text[], $5::text[]) AS wanted (program_id, member_id, request_id)
INNER JOIN points.early_requests AS early USING (program_id, member_id, request_id)
WHERE early.ended_by IS NULL
