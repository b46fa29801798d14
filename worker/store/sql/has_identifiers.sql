-- Whether any identifier leads to a member, or ever led a request to one.
SELECT EXISTS (SELECT FROM points.identifiers) OR EXISTS (SELECT FROM points.resolutions)
