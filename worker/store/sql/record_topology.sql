-- Record a first declaration; a later one only renews the time, on which the door waits.
INSERT INTO points.topology AS topology (generation, prefix, partitions, prefetch)
VALUES (1, $1, $2, $3)
ON CONFLICT (generation) DO UPDATE SET declared_at = clock_timestamp()
RETURNING generation, prefix, partitions, prefetch, declared_at
