-- Record the first declaration; nothing changes where there was one.
INSERT INTO points.topology (generation, prefix, partitions, prefetch)
VALUES (1, $1, $2, $3)
ON CONFLICT (generation) DO NOTHING
