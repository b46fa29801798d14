-- The open lots of awards that the member is not known to have got.
SELECT DISTINCT lot.program_id, lot.member_id, lot.currency, lot.category, lot.lot_id
FROM points.lots AS lot
LEFT JOIN points.awards AS award USING (program_id, member_id, award_id)
WHERE
    (lot.program_id, lot.member_id) > ($1, $2) AND (lot.program_id, lot.member_id) <= ($3, $4)
    AND lot.award_id IS NOT NULL AND award.award_id IS NULL
ORDER BY lot.program_id, lot.member_id, lot.lot_id
LIMIT $5
