-- Whether a programme has heard of a member.
SELECT EXISTS (
    SELECT FROM points.members AS member WHERE member.program_id = $1 AND member.member_id = $2
)
