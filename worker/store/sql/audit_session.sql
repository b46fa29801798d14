-- An audit joins whole stretches of the books, for which the look-ups that the workers are held to
-- would be slow, and may take longer over a member with a very long journal: $1 milliseconds.
SELECT
    set_config('enable_hashjoin', 'on', true),
    set_config('enable_mergejoin', 'on', true),
    set_config('enable_material', 'on', true),
    set_config('statement_timeout', $1, true);
