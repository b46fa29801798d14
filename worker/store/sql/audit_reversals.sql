-- The requests of which more has been reversed than they had changed.
SELECT
    reversal.program_id, reversal.member_id, reversal.request_id, entry.currency, entry.category,
    reversal.points AS reversed, coalesce(abs(entry.points), 0) AS points
FROM points.reversals AS reversal
LEFT JOIN points.early_requests AS early
    ON
        reversal.program_id = early.program_id AND reversal.member_id = early.member_id
        AND reversal.request_id = early.request_id
LEFT JOIN points.journal AS entry
    ON
        reversal.program_id = entry.program_id AND reversal.member_id = entry.member_id
        AND entry.request_id = coalesce(early.ended_by, reversal.request_id)
        AND (entry.fingerprint IS NOT NULL OR entry.step = early.ended_step)
        AND entry.subject IS NOT DISTINCT FROM early.request_id
WHERE
    (reversal.program_id, reversal.member_id) > ($1, $2)
    AND (reversal.program_id, reversal.member_id) <= ($3, $4)
    AND reversal.points > coalesce(abs(entry.points), 0)
ORDER BY reversal.program_id, reversal.member_id, reversal.request_id
LIMIT $5
