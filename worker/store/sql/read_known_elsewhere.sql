-- Those of the members whom another programme knows: it has enrolled them, or they have points
-- there. The walk goes from programme to programme, and each member is probed in each by key.
WITH RECURSIVE programs AS (
    SELECT '' COLLATE "C" AS program_id
    UNION ALL
    SELECT next.program_id
    FROM programs
    CROSS JOIN LATERAL (
        SELECT program.program_id
        FROM points.programs AS program
        WHERE program.program_id > programs.program_id
        ORDER BY program.program_id
        LIMIT 1
    ) AS next
)

SELECT wanted.program_id, wanted.member_id
FROM unnest($1::text[], $2::text[]) AS wanted (program_id, member_id)
WHERE EXISTS (
    SELECT
    FROM programs
    CROSS JOIN LATERAL (
        SELECT
        FROM points.members AS member
        WHERE
            member.program_id = programs.program_id AND member.member_id = wanted.member_id
            AND member.enrolled_at IS NOT NULL
        UNION ALL
        SELECT
        FROM points.wallets AS wallet
        WHERE wallet.program_id = programs.program_id AND wallet.member_id = wanted.member_id
    ) AS found
    WHERE programs.program_id <> wanted.program_id
)
