-- A member's counter and clock, and the time at which it is looked at.
SELECT now() AS at, member.sequence, member.last_recorded_at
FROM (SELECT 1) AS always
LEFT JOIN points.members AS member ON member.program_id = $1 AND member.member_id = $2
