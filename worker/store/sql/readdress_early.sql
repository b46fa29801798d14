-- Waiting requests were sent again: whoever sent them last gets the answer.
UPDATE points.early_requests AS early
SET address = wanted.address::jsonb
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
    AS wanted (program_id, member_id, request_id, address)
WHERE
    early.program_id = wanted.program_id AND early.member_id = wanted.member_id
    AND early.request_id = wanted.request_id
