-- Lock the operators' days of the batch in key order, after all its members.
SELECT operator.program_id, operator.operator, operator.currency, operator.day, operator.points
FROM unnest($1::text[], $2::text[], $3::text[], $4::date[])
    AS wanted (program_id, operator, currency, day)
INNER JOIN points.operator_days AS operator USING (program_id, operator, currency, day)
ORDER BY operator.program_id, operator.operator, operator.currency, operator.day
FOR UPDATE OF operator
