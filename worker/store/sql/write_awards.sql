-- Remember the awards that members have got. The type of an award never changes.
INSERT INTO points.awards (program_id, member_id, award_id, award_type)
SELECT *
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
