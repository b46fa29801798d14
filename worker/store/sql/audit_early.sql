-- What is wrong with early requests: each has ended with one outcome, under the request that it
-- ended with, or waits for a number that is still to come.
WITH early AS (
    SELECT program_id, member_id, request_id, stream, ordinal, ended_by, ended_step
    FROM points.early_requests
    WHERE (program_id, member_id) > ($1, $2) AND (program_id, member_id) <= ($3, $4)
),

streams AS (
    SELECT program_id, member_id, stream, next, used
    FROM points.streams
    WHERE (program_id, member_id) > ($1, $2) AND (program_id, member_id) <= ($3, $4)
),

entries AS (
    SELECT program_id, member_id, request_id, step, subject, event_type, fingerprint
    FROM points.journal
    WHERE (program_id, member_id) > ($1, $2) AND (program_id, member_id) <= ($3, $4)
),

faults AS (
    SELECT early.program_id, early.member_id, early.request_id, 'unanswered' AS fault
    FROM early
    LEFT JOIN entries
        ON
            early.program_id = entries.program_id AND early.member_id = entries.member_id
            AND early.ended_by = entries.request_id AND early.ended_step = entries.step
            AND early.request_id = entries.subject AND entries.fingerprint IS NULL
    WHERE early.ended_by IS NOT NULL AND entries.step IS NULL
    UNION ALL
    SELECT early.program_id, early.member_id, early.request_id, 'twice' AS fault
    FROM early
    INNER JOIN entries
        ON
            early.program_id = entries.program_id AND early.member_id = entries.member_id
            AND early.request_id = entries.request_id AND entries.fingerprint IS NOT NULL
    UNION ALL
    SELECT early.program_id, early.member_id, early.request_id, 'overdue' AS fault
    FROM early
    LEFT JOIN streams USING (program_id, member_id, stream)
    WHERE
        early.ended_by IS NULL
        AND (
            early.ordinal <= coalesce(streams.next, 1)
            OR EXISTS (
                SELECT
                FROM jsonb_array_elements(streams.used) AS span
                WHERE early.ordinal BETWEEN (span ->> 0)::bigint AND (span ->> 1)::bigint
            )
        )
    UNION ALL
    SELECT entries.program_id, entries.member_id, entries.subject AS request_id, 'alone' AS fault
    FROM entries
    LEFT JOIN early
        ON
            entries.program_id = early.program_id AND entries.member_id = early.member_id
            AND entries.subject = early.request_id AND entries.request_id = early.ended_by
    WHERE
        -- A hold that lapsed is a subject too.
        entries.subject IS NOT NULL AND entries.event_type IS DISTINCT FROM 'POINTS_RELEASED'
        AND early.request_id IS NULL
    UNION ALL
    SELECT streams.program_id, streams.member_id, NULL AS request_id, 'unread' AS fault
    FROM streams
    LEFT JOIN points.members AS member USING (program_id, member_id)
    WHERE member.has_streams IS DISTINCT FROM TRUE
)

SELECT DISTINCT program_id, member_id, request_id, fault
FROM faults
ORDER BY program_id, member_id, request_id, fault
LIMIT $5
