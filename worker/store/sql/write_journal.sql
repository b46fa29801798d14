-- Add the batch's outcomes to the journal.
INSERT INTO points.journal (
    program_id, member_id, request_id, step, sequence, status, event_type, error_key,
    currency, category, points, balance, total, version, fingerprint, recorded_at, outcome,
    subject, lots
)
SELECT
    program_id, member_id, request_id, step, sequence, status, event_type, error_key,
    currency, category, points, balance, total, version, fingerprint, recorded_at, outcome,
    subject, lots::jsonb
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::smallint[], $5::bigint[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[],
    $14::bigint[], $15::bytea[], $16::timestamptz[], $17::bytea[], $18::text[],
    $19::text[]
) AS entry (
    program_id, member_id, request_id, step, sequence, status, event_type, error_key,
    currency, category, points, balance, total, version, fingerprint, recorded_at, outcome,
    subject, lots
)
