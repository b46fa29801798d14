-- Those of the awards that requests name which their members have got.
SELECT award.program_id, award.member_id, award.award_id, award.award_type
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (program_id, member_id, award_id)
INNER JOIN points.awards AS award USING (program_id, member_id, award_id)
