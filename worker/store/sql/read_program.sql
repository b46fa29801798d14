-- One version of a programme document.
SELECT document FROM points.programs WHERE program_id = $1 AND version = $2
