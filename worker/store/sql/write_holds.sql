-- Store the holds that are new; those without a time have ended and go.
WITH changed AS (
    SELECT program_id, member_id, hold_id, currency, category, points, lapses_at
    FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
        $7::timestamptz[]
    ) AS wanted (program_id, member_id, hold_id, currency, category, points, lapses_at)
),

made AS (
    INSERT INTO points.holds (
        program_id, member_id, hold_id, currency, category, points, lapses_at
    )
    SELECT program_id, member_id, hold_id, currency, category, points, lapses_at
    FROM changed
    WHERE lapses_at IS NOT NULL
)

DELETE FROM points.holds AS hold
USING changed
WHERE
    changed.lapses_at IS NULL
    AND hold.program_id = changed.program_id AND hold.member_id = changed.member_id
    AND hold.hold_id = changed.hold_id
