-- The time after the locks, and the newest version of each programme of the batch: one row.
SELECT
    clock_timestamp() AS now,
    coalesce(array_agg(newest.program_id), '{}') AS program_ids,
    coalesce(array_agg(newest.version), '{}') AS versions
FROM (
    SELECT program.program_id, max(program.version) AS version
    FROM points.programs AS program
    WHERE program.program_id = ANY($1::text[])
    GROUP BY program.program_id
) AS newest
