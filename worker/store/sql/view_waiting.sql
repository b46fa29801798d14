-- A request that came early and still waits for its predecessors.
SELECT early.stream, early.ordinal, early.deadline
FROM points.early_requests AS early
WHERE
    early.program_id = $1 AND early.member_id = $2 AND early.request_id = $3
    AND early.ended_by IS NULL
