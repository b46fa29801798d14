-- To whom an identifier leads.
SELECT member_id FROM points.identifiers WHERE program_id = $1 AND name = $2 AND fingerprint = $3
