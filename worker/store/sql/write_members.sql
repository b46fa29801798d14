-- Move the members' counters and clocks on. Setting `due_at` to what it is leaves the row on its
-- page in spite of the index on it.
UPDATE points.members AS member
SET
    sequence = wanted.sequence, last_recorded_at = wanted.last_recorded_at,
    due_at = wanted.due_at, has_streams = wanted.has_streams
FROM unnest(
    $1::text[], $2::text[], $3::bigint[], $4::timestamptz[], $5::timestamptz[], $6::boolean[]
) AS wanted (program_id, member_id, sequence, last_recorded_at, due_at, has_streams)
WHERE member.program_id = wanted.program_id AND member.member_id = wanted.member_id
