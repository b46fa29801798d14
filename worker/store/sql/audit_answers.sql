-- The requests that do not have exactly one outcome of their own, as the last of their own steps:
-- what follows it happened with the requests that it released.
SELECT
    program_id, member_id, request_id, count(*) AS steps, min(step) AS first, max(step) AS last,
    count(fingerprint) AS answers, max(step) FILTER (WHERE fingerprint IS NOT NULL) AS answered_at,
    max(step) FILTER (WHERE subject IS NULL) AS last_own
FROM points.journal
WHERE (program_id, member_id) > ($1, $2) AND (program_id, member_id) <= ($3, $4)
GROUP BY program_id, member_id, request_id
HAVING
    count(fingerprint) <> 1 OR min(step) <> 0 OR max(step) <> count(*) - 1
    OR max(step) FILTER (WHERE fingerprint IS NOT NULL)
    IS DISTINCT FROM max(step) FILTER (WHERE subject IS NULL)
ORDER BY program_id, member_id, request_id
LIMIT $5
