-- Note that a generation was declared again, on which the door waits.
UPDATE points.topology
SET declared_at = clock_timestamp()
WHERE generation = $1
RETURNING generation, prefix, partitions, prefetch, declared_at
