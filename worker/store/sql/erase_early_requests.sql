-- Take the bodies out of requests that wait, and make them due; how many there are. The time is that
-- of the transaction, as in `erase_member.sql`: nothing may be due before its member is.
WITH erased AS (
    UPDATE points.early_requests
    SET body = NULL, deadline = least(deadline, now())
    WHERE program_id = $1 AND member_id = $2 AND ended_by IS NULL
    RETURNING request_id
)

SELECT count(*) FROM erased
