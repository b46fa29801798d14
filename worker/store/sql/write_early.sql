-- Keep requests that came early; some may have had their turn within the batch.
INSERT INTO points.early_requests (
    program_id, member_id, request_id, stream, ordinal, body, fingerprint, publisher,
    is_trusted, address, deadline, ended_by, ended_step
)
SELECT
    program_id, member_id, request_id, stream, ordinal, body, fingerprint, publisher,
    is_trusted, address::jsonb, deadline, ended_by, ended_step
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bytea[], $7::bytea[],
    $8::text[], $9::boolean[], $10::text[], $11::timestamptz[], $12::text[], $13::smallint[]
) AS wanted (
    program_id, member_id, request_id, stream, ordinal, body, fingerprint, publisher,
    is_trusted, address, deadline, ended_by, ended_step
)
