-- The ordinals of those streams of members that the batch may use.
SELECT stream.program_id, stream.member_id, stream.stream, stream.next, stream.used
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (program_id, member_id, stream)
INNER JOIN points.streams AS stream USING (program_id, member_id, stream)
