-- Take the bodies out of requests that wait, and make them due; how many there are.
WITH erased AS (
    UPDATE points.early_requests
    SET body = NULL, deadline = least(deadline, clock_timestamp())
    WHERE program_id = $1 AND member_id = $2 AND ended_by IS NULL
    RETURNING request_id
)

SELECT count(*) FROM erased
