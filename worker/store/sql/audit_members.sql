-- How many members there are.
SELECT count(*) FROM points.members
