-- Whether any identifier is known.
SELECT EXISTS (SELECT FROM points.identifiers)
