-- The members whose events are not numbered from 1 to the member's counter, each number once.
WITH events AS (
    SELECT
        program_id, member_id, count(*) AS events, max(sequence) AS last,
        min(place) FILTER (WHERE sequence <> place) AS astray
    FROM (
        SELECT
            program_id, member_id, sequence,
            row_number() OVER (PARTITION BY program_id, member_id ORDER BY sequence) AS place
        FROM points.journal
        WHERE
            (program_id, member_id) > ($1, $2) AND (program_id, member_id) <= ($3, $4)
            AND event_type IS NOT NULL
    ) AS numbered
    GROUP BY program_id, member_id
),

members AS (
    SELECT program_id, member_id, sequence
    FROM points.members
    WHERE (program_id, member_id) > ($1, $2) AND (program_id, member_id) <= ($3, $4)
)

SELECT
    program_id, member_id, members.sequence, coalesce(events.events, 0) AS events,
    coalesce(events.last, 0) AS last, events.astray
FROM members
FULL JOIN events USING (program_id, member_id)
WHERE members.sequence IS DISTINCT FROM coalesce(events.last, 0) OR events.astray IS NOT NULL
ORDER BY program_id, member_id
LIMIT $5
