-- The ordinals of members, stream by stream.
SELECT stream.program_id, stream.member_id, stream.stream, stream.next, stream.used
FROM unnest($1::text[], $2::text[]) AS wanted (program_id, member_id)
INNER JOIN points.streams AS stream USING (program_id, member_id)
