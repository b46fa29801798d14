-- The generation in force.
SELECT generation, prefix, partitions, prefetch, declared_at
FROM points.topology
ORDER BY generation DESC
LIMIT 1
