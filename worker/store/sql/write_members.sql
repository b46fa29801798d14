-- Move the members' counters and clocks on.
UPDATE points.members AS member
SET sequence = wanted.sequence, last_recorded_at = wanted.last_recorded_at
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::timestamptz[])
    AS wanted (program_id, member_id, sequence, last_recorded_at)
WHERE member.program_id = wanted.program_id AND member.member_id = wanted.member_id
