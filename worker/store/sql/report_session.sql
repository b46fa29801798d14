-- A report reads whole tables, for which the look-ups that the workers are held to would be slow,
-- and may take longer: $1 milliseconds a statement.
SELECT
    set_config('enable_seqscan', 'on', true),
    set_config('enable_hashjoin', 'on', true),
    set_config('enable_mergejoin', 'on', true),
    set_config('enable_bitmapscan', 'on', true),
    set_config('enable_material', 'on', true),
    set_config('statement_timeout', $1, true);
