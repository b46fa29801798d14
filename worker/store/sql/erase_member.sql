-- The sweep asks for what is due: requests that waited are to be rejected without delay.
UPDATE points.members
SET
    status = 'erased',
    due_at = CASE WHEN $3::boolean THEN least(due_at, now()) ELSE due_at END
WHERE program_id = $1 AND member_id = $2
