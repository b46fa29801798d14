UPDATE points.journal AS entry
SET outcome = blank.outcome
FROM unnest($3::text[], $4::smallint[], $5::bytea[]) AS blank (request_id, step, outcome)
WHERE
    entry.program_id = $1 AND entry.member_id = $2
    AND entry.request_id = blank.request_id AND entry.step = blank.step
