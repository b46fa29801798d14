-- The next version of a programme's document.
INSERT INTO points.programs (program_id, version, document) VALUES ($1, $2, $3::jsonb)
