-- How many requests of a member wait for their predecessors, by stream, and for which number.
SELECT early.stream, coalesce(stream.next, 1) AS ordinal, count(*) AS requests
FROM points.early_requests AS early
LEFT JOIN points.streams AS stream USING (program_id, member_id, stream)
WHERE early.program_id = $1 AND early.member_id = $2 AND early.ended_by IS NULL
GROUP BY early.stream, stream.next
ORDER BY early.stream
