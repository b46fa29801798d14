-- Make sure that every operator's day of the batch has a row to lock, in key order.
INSERT INTO points.operator_days (program_id, operator, currency, day)
SELECT program_id, operator, currency, day
FROM unnest($1::text[], $2::text[], $3::text[], $4::date[])
    AS wanted (program_id, operator, currency, day)
ORDER BY program_id COLLATE "C", operator COLLATE "C", currency COLLATE "C", day
ON CONFLICT (program_id, operator, currency, day) DO NOTHING
