-- Requests that waited have had their turn, or have run out of time: their bodies go.
UPDATE points.early_requests AS early
SET ended_by = wanted.ended_by, ended_step = wanted.ended_step, body = NULL
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::smallint[])
    AS wanted (program_id, member_id, request_id, ended_by, ended_step)
WHERE
    early.program_id = wanted.program_id AND early.member_id = wanted.member_id
    AND early.request_id = wanted.request_id
