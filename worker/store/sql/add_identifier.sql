-- Let an identifier lead to a member, unless it leads to somebody already; one row if it was new.
INSERT INTO points.identifiers (program_id, name, fingerprint, member_id)
VALUES ($1, $2, $3, $4)
ON CONFLICT (program_id, name, fingerprint) DO NOTHING
RETURNING member_id
