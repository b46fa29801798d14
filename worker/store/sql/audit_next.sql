-- Where the next stretch of members ends: after $3 members, or when they have $4 events.
SELECT stretch.program_id, stretch.member_id, stretch.members
FROM (
    SELECT
        next.program_id, next.member_id,
        row_number() OVER key_order AS members,
        sum(next.sequence) OVER key_order AS events
    FROM (
        SELECT program_id, member_id, sequence
        FROM points.members
        WHERE (program_id, member_id) > ($1, $2)
        ORDER BY program_id, member_id
        LIMIT $3
    ) AS next
    WINDOW key_order AS (ORDER BY next.program_id, next.member_id)
) AS stretch
WHERE stretch.members = 1 OR stretch.events <= $4
ORDER BY stretch.members DESC
LIMIT 1
