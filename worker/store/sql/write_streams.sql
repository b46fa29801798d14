-- Store how far streams of ordinals have come.
INSERT INTO points.streams AS stream (program_id, member_id, stream, next, used)
SELECT program_id, member_id, stream, next, used::jsonb
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[])
    AS wanted (program_id, member_id, stream, next, used)
ON CONFLICT (program_id, member_id, stream) DO UPDATE
    SET next = excluded.next, used = excluded.used
