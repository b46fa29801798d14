-- What the server is, and what the user and the role that the workers take may do. The role's
-- columns are null where it does not exist.
SELECT
    current_setting('server_version') AS version,
    current_user::text AS login,
    role.oid IS NOT NULL AND pg_has_role(
        current_user, role.oid,
        -- Since version 16, who belongs to a role may not always act as it.
        CASE
            WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET'
            ELSE 'MEMBER'
        END
    ) AS can_take_role,
    CASE WHEN role.oid IS NOT NULL AND journal.oid IS NOT NULL THEN
        has_table_privilege(role.oid, journal.oid, 'UPDATE, DELETE, TRUNCATE')
        OR has_any_column_privilege(role.oid, journal.oid, 'UPDATE')
    END AS can_change_journal,
    current_setting('fsync')::boolean AND current_setting('full_page_writes')::boolean
    AND current_setting('synchronous_commit') <> 'off' AS is_durable
FROM (SELECT to_regclass('points.journal')::oid AS oid) AS journal
LEFT JOIN pg_catalog.pg_roles AS role ON role.rolname = 'points_worker'
