-- The message was tried and nobody died of it.
DELETE FROM points.suspects WHERE queue = $1 AND digest = $2
