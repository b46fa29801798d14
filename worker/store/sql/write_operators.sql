-- Store what operators' days have become.
UPDATE points.operator_days AS operator
SET points = wanted.points
FROM unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::bigint[])
    AS wanted (program_id, operator, currency, day, points)
WHERE
    operator.program_id = wanted.program_id AND operator.operator = wanted.operator
    AND operator.currency = wanted.currency AND operator.day = wanted.day
