-- Mark the message as being tried, and return how often it has been.
INSERT INTO points.suspects AS suspect (queue, digest, tries)
VALUES ($1, $2, 1)
ON CONFLICT (queue, digest) DO UPDATE
    SET tries = suspect.tries + 1, tried_at = clock_timestamp()
RETURNING tries
