-- Store how much of requests has been reversed by now.
INSERT INTO points.reversals AS reversal (program_id, member_id, request_id, points)
SELECT *
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
ON CONFLICT (program_id, member_id, request_id) DO UPDATE SET points = excluded.points
