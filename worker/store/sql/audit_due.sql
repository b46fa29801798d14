-- The members of whom something falls due before anybody would look: a lot, a hold, the deadline
-- of a request that waits.
WITH things AS (
    SELECT program_id, member_id, expires_at AS moment
    FROM points.lots
    WHERE
        (program_id, member_id) > ($1, $2) AND (program_id, member_id) <= ($3, $4)
        AND expires_at < 'infinity'
    UNION ALL
    SELECT program_id, member_id, lapses_at AS moment
    FROM points.holds
    WHERE (program_id, member_id) > ($1, $2) AND (program_id, member_id) <= ($3, $4)
    UNION ALL
    SELECT program_id, member_id, deadline AS moment
    FROM points.early_requests
    WHERE
        (program_id, member_id) > ($1, $2) AND (program_id, member_id) <= ($3, $4)
        AND ended_by IS NULL
),

next AS (
    SELECT program_id, member_id, min(moment) AS moment
    FROM things
    GROUP BY program_id, member_id
)

SELECT program_id, member_id, next.moment, member.due_at
FROM next
LEFT JOIN points.members AS member USING (program_id, member_id)
WHERE coalesce(member.due_at, 'infinity') > next.moment
ORDER BY program_id, member_id
LIMIT $5
