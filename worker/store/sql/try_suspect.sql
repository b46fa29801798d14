-- Mark the message as being tried, and return how often it has been. A mark of long ago tells of
-- a worker that was stopped, not of one that died over and over.
INSERT INTO points.suspects AS suspect (queue, digest, tries)
VALUES ($1, $2, 1)
ON CONFLICT (queue, digest) DO UPDATE
    SET
        tries = CASE
            WHEN suspect.tried_at < clock_timestamp() - interval '1 day' THEN 1
            ELSE suspect.tries + 1
        END,
        tried_at = clock_timestamp()
RETURNING tries
