-- Run by a superuser only, after every migration, in a schema that the owner cannot touch. The owner could take the guards away, replace the functions that
-- they call, rewrite a table, or put another one below it. Event triggers look after what is defined: they know what a superuser saw last, and refuse a
-- change of it. The owner may add tables, columns and functions, as most migrations do.
--
-- A superuser gets by with SET setpoint.unlock = 'on', for the session.
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner WHERE n.nspname = 'setpoint_guard' AND NOT r.rolsuper) THEN
    RAISE EXCEPTION 'setpoint: the schema setpoint_guard is not a superuser''s; drop it first';
  END IF;
END $$;
CREATE SCHEMA IF NOT EXISTS setpoint_guard;
REVOKE ALL ON SCHEMA setpoint_guard FROM PUBLIC;
GRANT USAGE ON SCHEMA setpoint_guard TO setpoint_owner, setpoint_app;

-- What stays as it is, and the partitions that were seen to be empty when they were put in.
CREATE TABLE IF NOT EXISTS setpoint_guard.fixed (item text PRIMARY KEY, definition text NOT NULL);
CREATE TABLE IF NOT EXISTS setpoint_guard.partition (name text PRIMARY KEY, parent text NOT NULL, till text);

-- unlocked says whether this session is a superuser's, who means it. Taking a superuser's role is not enough.
CREATE OR REPLACE FUNCTION setpoint_guard.unlocked() RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT r.rolsuper AND coalesce(current_setting('setpoint.unlock', true), '') = 'on' FROM pg_roles r WHERE r.rolname = session_user
$$;

-- tables are those of the schema, partitions aside.
CREATE OR REPLACE FUNCTION setpoint_guard.tables() RETURNS SETOF oid LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT c.oid FROM pg_class c WHERE c.relnamespace = to_regnamespace('setpoint') AND c.relkind IN ('r', 'p') AND c.relname !~ '^(feed|history)_[0-9]'
$$;

-- items are the definitions of everything that the rules rest on.
CREATE OR REPLACE FUNCTION setpoint_guard.items() RETURNS TABLE (item text, definition text) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'schema setpoint', n.nspowner::regrole::text FROM pg_namespace n WHERE n.nspname = 'setpoint'
  UNION ALL
  SELECT 'function ' || p.oid::regprocedure, md5(pg_get_functiondef(p.oid)) || ' ' || p.proowner::regrole FROM pg_proc p WHERE p.pronamespace = to_regnamespace('setpoint') AND p.prokind IN ('f', 'p')
  UNION ALL
  SELECT 'table ' || c.oid::regclass, concat_ws(' ', c.relkind, c.relpersistence, c.relowner::regrole, c.relrowsecurity, c.relforcerowsecurity)
    FROM setpoint_guard.tables() t JOIN pg_class c ON c.oid = t
  UNION ALL
  SELECT 'column ' || a.attrelid::regclass || '.' || a.attname,
    concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation, a.attnotnull, a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid))
    FROM setpoint_guard.tables() t JOIN pg_attribute a ON a.attrelid = t AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  UNION ALL
  SELECT 'constraint ' || k.conrelid::regclass || '.' || k.conname, pg_get_constraintdef(k.oid) FROM setpoint_guard.tables() t JOIN pg_constraint k ON k.conrelid = t
  UNION ALL
  SELECT 'trigger ' || g.tgrelid::regclass || '.' || g.tgname, g.tgenabled::text || ' ' || pg_get_triggerdef(g.oid)
    FROM setpoint_guard.tables() t JOIN pg_trigger g ON g.tgrelid = t AND NOT g.tgisinternal
$$;

-- changed names what is not as it was, and what was added that bends it: triggers, rules and policies on the tables, tables below them, and writing roles.
CREATE OR REPLACE FUNCTION setpoint_guard.changed() RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  WITH now AS MATERIALIZED (SELECT * FROM setpoint_guard.items())
  SELECT f.item FROM setpoint_guard.fixed f LEFT JOIN now i ON i.item = f.item WHERE i.definition IS DISTINCT FROM f.definition
  UNION ALL
  SELECT i.item FROM now i WHERE i.item LIKE 'trigger %' AND NOT EXISTS (SELECT 1 FROM setpoint_guard.fixed f WHERE f.item = i.item)
  UNION ALL
  SELECT 'rule ' || w.rulename || ' on ' || w.ev_class::regclass FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class
    WHERE c.relnamespace = to_regnamespace('setpoint') AND c.relkind IN ('r', 'p')
  UNION ALL
  SELECT 'policy ' || p.polname || ' on ' || p.polrelid::regclass FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace = to_regnamespace('setpoint')
  UNION ALL
  SELECT 'table ' || i.inhrelid::regclass || ' below ' || i.inhparent::regclass FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent
    WHERE c.relnamespace = to_regnamespace('setpoint') AND c.relkind = 'r'
  UNION ALL
  SELECT a.privilege_type || ' on ' || c.oid::regclass || ' for ' || coalesce(r.rolname, 'PUBLIC') FROM pg_class c, aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE c.relnamespace = to_regnamespace('setpoint') AND c.relkind IN ('r', 'p', 'S') AND a.grantee <> c.relowner AND a.privilege_type NOT IN ('SELECT', 'REFERENCES')
$$;
REVOKE ALL ON FUNCTION setpoint_guard.changed() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION setpoint_guard.changed() TO setpoint_app, setpoint_owner;

-- partitions looks at those of the feed and of the history that are new: one that is put in has its guards, and no rows. One that was put in stays until it is dropped.
CREATE OR REPLACE FUNCTION setpoint_guard.partitions() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  p   record;
  bad text;
BEGIN
  SELECT g.name INTO bad FROM setpoint_guard.partition g
    WHERE NOT EXISTS (SELECT 1 FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = to_regclass('setpoint.' || g.parent) AND c.relname = g.name AND c.relnamespace = to_regnamespace('setpoint') AND NOT i.inhdetachpending);
  IF FOUND THEN
    RAISE EXCEPTION 'setpoint: partition % stays where it is until all in it is forgotten', bad USING ERRCODE = 'SP003';
  END IF;
  FOR p IN SELECT c.oid, c.relname, pc.relname AS parent, c.relnamespace = to_regnamespace('setpoint') AS here,
        EXISTS (SELECT 1 FROM setpoint_guard.partition g WHERE g.name = c.relname) AS known,
        (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgenabled = 'A' AND t.tgname IN ('guard_insert', 'guard_truncate', 'guard_delete', 'guard_update')
          AND t.tgfoid IN (to_regprocedure('setpoint.guard_span()'), to_regprocedure('setpoint.guard_never()'), to_regprocedure('setpoint.guard_feed()'), to_regprocedure('setpoint.guard_history()'))) AS guards,
        (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = c.oid) AS triggers,
        (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''?([^'')]*)''?\)'))[1] AS till
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class pc ON pc.oid = i.inhparent
      WHERE i.inhparent IN (to_regclass('setpoint.feed'), to_regclass('setpoint.history')) LOOP
    IF NOT p.here OR p.guards <> 4 OR p.triggers <> 4 THEN
      bad := 'its guards are not those of a partition';
    ELSIF NOT p.known THEN
      EXECUTE format('SELECT ''it has rows'' FROM %s LIMIT 1', p.oid::regclass) INTO bad;
    END IF;
    IF bad IS NOT NULL THEN
      RAISE EXCEPTION 'setpoint: table %, below %: %', p.oid::regclass, p.parent, bad USING ERRCODE = 'SP003';
    END IF;
    INSERT INTO setpoint_guard.partition (name, parent, till) SELECT p.relname, p.parent, p.till WHERE NOT p.known;
  END LOOP;
END $$;

CREATE OR REPLACE FUNCTION setpoint_guard.defined() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  bad text;
BEGIN
  IF setpoint_guard.unlocked() OR to_regnamespace('setpoint') IS NULL AND tg_tag <> 'ALTER SCHEMA' THEN
    RETURN;
  END IF;
  PERFORM setpoint_guard.partitions();
  -- What touches tables to be partitions only, and what makes something new outside, changes nothing that is fixed; other users of the database make temporary tables often.
  IF tg_tag IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE INDEX', 'CREATE SEQUENCE', 'CREATE VIEW', 'COMMENT', 'CREATE TRIGGER', 'ALTER TABLE')
     AND NOT EXISTS (SELECT 1 FROM pg_event_trigger_ddl_commands() d
       WHERE d.object_identity ~ '(^| on )setpoint\.' AND d.object_identity !~ '(^| on )setpoint\.(feed|history)_[0-9][0-9_]*$')
     AND NOT EXISTS (SELECT 1 FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent WHERE c.relnamespace = to_regnamespace('setpoint') AND c.relkind = 'r') THEN
    RETURN;
  END IF;
  SELECT string_agg(c, ', ' ORDER BY c) INTO bad FROM setpoint_guard.changed() c;
  IF bad IS NOT NULL THEN
    RAISE EXCEPTION 'setpoint: the rules rest on what would be changed: %', bad
      USING ERRCODE = 'SP003', HINT = 'A superuser may, after SET setpoint.unlock = ''on''. Servers name what is changed, and do not start.';
  END IF;
END $$;

CREATE OR REPLACE FUNCTION setpoint_guard.dropped() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  d        record;
  retained boolean;
  bad      text;
BEGIN
  IF setpoint_guard.unlocked() THEN
    RETURN;
  END IF;
  FOR d IN SELECT o.object_name, p.* FROM pg_event_trigger_dropped_objects() o JOIN setpoint_guard.partition p ON p.name = o.object_name
      WHERE o.schema_name = 'setpoint' AND o.object_type = 'table' LOOP
    retained := true; -- also when what tells is dropped with it
    IF d.till IS NOT NULL AND to_regclass('setpoint.counter') IS NOT NULL AND to_regclass('setpoint.retention') IS NOT NULL THEN
      IF d.parent = 'feed' THEN
        SELECT d.till::bigint > c.compacted + 1 INTO retained FROM setpoint.counter c;
      ELSE
        SELECT d.till::timestamptz > r.history INTO retained FROM setpoint.retention r;
      END IF;
    END IF;
    IF retained THEN
      RAISE EXCEPTION 'setpoint: partition % is retained', d.name USING ERRCODE = 'SP003', HINT = 'setpoint.compact_v1 says what is forgotten.';
    END IF;
    DELETE FROM setpoint_guard.partition p WHERE p.name = d.name;
  END LOOP;
  IF NOT EXISTS (SELECT 1 FROM pg_event_trigger_dropped_objects() o WHERE o.schema_name = 'setpoint' OR o.object_type = 'schema' AND o.object_name = 'setpoint') THEN
    RETURN;
  END IF;
  SELECT string_agg(f.item, ', ' ORDER BY f.item) INTO bad FROM setpoint_guard.fixed f WHERE NOT EXISTS (SELECT 1 FROM setpoint_guard.items() i WHERE i.item = f.item);
  IF bad IS NOT NULL THEN
    RAISE EXCEPTION 'setpoint: the rules rest on what would be dropped: %', bad USING ERRCODE = 'SP003', HINT = 'A superuser may, after SET setpoint.unlock = ''on''.';
  END IF;
END $$;

CREATE OR REPLACE FUNCTION setpoint_guard.rewritten() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT setpoint_guard.unlocked() AND EXISTS (SELECT 1 FROM pg_class c WHERE c.oid = pg_event_trigger_table_rewrite_oid() AND c.relnamespace = to_regnamespace('setpoint')) THEN
    RAISE EXCEPTION 'setpoint: rewriting a table would pass its guards by' USING ERRCODE = 'SP003', HINT = 'A superuser may, after SET setpoint.unlock = ''on''.';
  END IF;
END $$;

-- Event triggers need no right of whoever sets them off.
REVOKE ALL ON FUNCTION setpoint_guard.partitions(), setpoint_guard.items(), setpoint_guard.tables(), setpoint_guard.defined(), setpoint_guard.dropped(), setpoint_guard.rewritten() FROM PUBLIC;

DROP EVENT TRIGGER IF EXISTS setpoint_guard;
DROP EVENT TRIGGER IF EXISTS setpoint_guard_drop;
DROP EVENT TRIGGER IF EXISTS setpoint_guard_rewrite;

-- This is what a superuser sees now.
DELETE FROM setpoint_guard.fixed;
INSERT INTO setpoint_guard.fixed SELECT * FROM setpoint_guard.items();
DELETE FROM setpoint_guard.partition;
INSERT INTO setpoint_guard.partition
  SELECT c.relname, p.relname, (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''?([^'')]*)''?\)'))[1]
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
  WHERE i.inhparent IN ('setpoint.feed'::regclass, 'setpoint.history'::regclass);

CREATE EVENT TRIGGER setpoint_guard ON ddl_command_end EXECUTE FUNCTION setpoint_guard.defined();
CREATE EVENT TRIGGER setpoint_guard_drop ON sql_drop EXECUTE FUNCTION setpoint_guard.dropped();
CREATE EVENT TRIGGER setpoint_guard_rewrite ON table_rewrite EXECUTE FUNCTION setpoint_guard.rewritten();
ALTER EVENT TRIGGER setpoint_guard ENABLE ALWAYS;
ALTER EVENT TRIGGER setpoint_guard_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER setpoint_guard_rewrite ENABLE ALWAYS;

-- What the owner needs to name those who hold up commits, and to end them.
GRANT pg_read_all_stats, pg_signal_backend TO setpoint_owner;
