-- Run by a superuser only, in a schema that the owner cannot touch: no one but a superuser takes the guards away. An event trigger looks after every command that
-- could: all of them are there, and work in every replication role.
CREATE SCHEMA IF NOT EXISTS setpoint_guard;
REVOKE ALL ON SCHEMA setpoint_guard FROM PUBLIC;

CREATE OR REPLACE FUNCTION setpoint_guard.guards() RETURNS TABLE (relation text, guard text) LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
  VALUES
    ('object', 'guard_insert'), ('object', 'guard_update'), ('object', 'guard_delete'), ('command', 'guard_span'), ('signal', 'guard_span'), ('signal', 'guard_update'),
    ('timer', 'guard_span'), ('counter', 'guard_update'), ('counter', 'guard_gapless'), ('counter', 'guard_rows'), ('meta', 'guard_update'), ('meta', 'guard_rows'),
    ('committer', 'guard_update'), ('feed', 'guard_insert'), ('feed', 'guard_delete'), ('feed', 'guard_update'), ('history', 'guard_insert'), ('history', 'guard_delete'),
    ('history', 'guard_update'), ('lease', 'guard_write'), ('lease', 'guard_delete'), ('object', 'guard_truncate'), ('command', 'guard_truncate'), ('signal', 'guard_truncate'),
    ('timer', 'guard_truncate'), ('feed', 'guard_truncate'), ('history', 'guard_truncate'), ('lease', 'guard_truncate'), ('counter', 'guard_truncate'), ('meta', 'guard_truncate'),
    ('committer', 'guard_truncate')
$$;

CREATE OR REPLACE FUNCTION setpoint_guard.check() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  missing text;
BEGIN
  IF to_regclass('setpoint.object') IS NULL AND to_regclass('setpoint.meta') IS NULL THEN
    RETURN; -- not made yet, or dropped as a whole
  END IF;
  SELECT string_agg(g.relation || '.' || g.guard, ', ') INTO missing
    FROM setpoint_guard.guards() g
    WHERE NOT EXISTS (
      SELECT 1 FROM pg_trigger t WHERE t.tgrelid = to_regclass('setpoint.' || g.relation) AND t.tgname = g.guard AND t.tgenabled = 'A'
        AND (SELECT p.pronamespace FROM pg_proc p WHERE p.oid = t.tgfoid) = 'setpoint'::regnamespace);
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'setpoint: the guards stay, and stay ENABLE ALWAYS: %', missing
      USING ERRCODE = 'SP003', HINT = 'A superuser may ALTER EVENT TRIGGER setpoint_guard DISABLE; servers name what is missing when they start.';
  END IF;
END $$;

DROP EVENT TRIGGER IF EXISTS setpoint_guard;
CREATE EVENT TRIGGER setpoint_guard ON ddl_command_end WHEN TAG IN ('ALTER TABLE', 'ALTER TRIGGER', 'CREATE TRIGGER') EXECUTE FUNCTION setpoint_guard.check();
DROP EVENT TRIGGER IF EXISTS setpoint_guard_drop;
CREATE EVENT TRIGGER setpoint_guard_drop ON sql_drop WHEN TAG IN ('DROP TRIGGER', 'DROP FUNCTION', 'DROP TABLE', 'DROP OWNED', 'DROP ROUTINE') EXECUTE FUNCTION setpoint_guard.check();

-- What the owner needs to name those who hold up commits, and to end them.
GRANT pg_read_all_stats, pg_signal_backend TO setpoint_owner;
