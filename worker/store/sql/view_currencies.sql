-- The decimals of the currencies of a programme, or of all for null; they can never change.
SELECT DISTINCT ON (program.program_id, currency.document ->> 'code')
    program.program_id, currency.document ->> 'code' AS code,
    coalesce((currency.document ->> 'decimals')::integer, 0) AS decimals
FROM points.programs AS program
CROSS JOIN LATERAL jsonb_array_elements(program.document -> 'currencies') AS currency (document)
WHERE $1::text IS NULL OR program.program_id = $1
ORDER BY program.program_id, currency.document ->> 'code', program.version DESC
