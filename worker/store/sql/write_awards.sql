-- Remember the awards that members have got.
INSERT INTO points.awards AS award (program_id, member_id, award_id, award_type)
SELECT *
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
ON CONFLICT (program_id, member_id, award_id) DO UPDATE SET award_type = excluded.award_type
