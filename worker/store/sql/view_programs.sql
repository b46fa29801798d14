-- One version of a programme; for null the newest, of all programmes for null.
SELECT DISTINCT ON (program.program_id)
    program.program_id, program.version, program.applied_at, program.document
FROM points.programs AS program
WHERE ($1::text IS NULL OR program.program_id = $1)
    AND ($2::integer IS NULL OR program.version = $2)
ORDER BY program.program_id, program.version DESC
