-- Record by its digest the key of the first identifier; the first one stays.
INSERT INTO points.identifier_key (digest) VALUES ($1) ON CONFLICT (id) DO NOTHING
