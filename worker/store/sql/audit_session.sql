-- An audit joins whole stretches of the books, for which the look-ups that the workers are held to
-- would be slow, and may take longer over a member with a very long journal.
SET LOCAL enable_hashjoin = on;
SET LOCAL enable_mergejoin = on;
SET LOCAL enable_material = on;
SET LOCAL statement_timeout = '10min';
