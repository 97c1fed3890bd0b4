-- +goose Up
-- The rules, for every writer. A write is good in the transaction that moved the counter, at one of the revisions that it moved over: then it belongs to a
-- commit, has its place in the one order, and is in the feed. Everything is checked once per statement, over all of its rows.
--
-- Every function says where names are looked up. Otherwise a writer could have another "=" found before the one that is meant.

-- +goose StatementBegin
-- span returns the revisions that this transaction moved the counter over; it refuses when it did not.
CREATE FUNCTION setpoint.span(OUT low bigint, OUT high bigint) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  SELECT c.first, c.revision INTO low, high FROM setpoint.counter c WHERE c.id = 1 AND c.transaction = pg_current_xact_id();
  IF NOT FOUND THEN
    RAISE EXCEPTION 'setpoint: this is written by commits only, each with its revision; to change an object: SELECT setpoint.propose(key, expected_revision, patch)'
      USING ERRCODE = 'SP003';
  END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION setpoint.guard_object_insert() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE s record; bad record;
BEGIN
  s := setpoint.span();
  SELECT n.* INTO bad FROM new_rows n WHERE n.revision NOT BETWEEN s.low AND s.high LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'setpoint: %/%/%: revision % is not one of this commit (% to %)', bad.kind, bad.namespace, bad.name, bad.revision, s.low, s.high USING ERRCODE = 'SP003';
  END IF;
  SELECT n.* INTO bad FROM new_rows n
    WHERE EXISTS (SELECT 1 FROM setpoint.kind k WHERE k.kind = n.kind)
      AND NOT EXISTS (SELECT 1 FROM setpoint.state t WHERE t.kind = n.kind AND t.state = n.state) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'setpoint: %/%/%: state "%" is not in the table of the kind', bad.kind, bad.namespace, bad.name, bad.state USING ERRCODE = 'SP003';
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION setpoint.guard_object_update() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE s record; bad record;
BEGIN
  s := setpoint.span();
  SELECT o.kind, o.namespace, o.name, o.state AS was, n.state AS now,
      n.revision NOT BETWEEN s.low AND s.high AS astray, o.state <> n.state AS moved INTO bad
    FROM old_rows o FULL JOIN new_rows n ON n.id = o.id
    WHERE o.id IS NULL OR n.id IS NULL OR n.revision NOT BETWEEN s.low AND s.high OR n.revision <= o.revision
       OR n.uid <> o.uid OR n.kind <> o.kind OR n.namespace <> o.namespace OR n.name <> o.name OR n.shard <> o.shard OR n.created <> o.created
       OR n.generation < o.generation OR (o.deleted <> 0 AND n.deleted <> o.deleted)
       OR (n.state <> o.state AND EXISTS (SELECT 1 FROM setpoint.kind k WHERE k.kind = n.kind)
           AND NOT EXISTS (SELECT 1 FROM setpoint.transition t WHERE t.kind = n.kind AND t.from_state = o.state AND t.to_state = n.state))
    LIMIT 1;
  IF FOUND THEN
    IF NOT coalesce(bad.astray, true) AND bad.moved THEN
      RAISE EXCEPTION 'setpoint: %/%/%: the transition from "%" to "%" is not allowed', bad.kind, bad.namespace, bad.name, bad.was, bad.now USING ERRCODE = 'SP003';
    END IF;
    RAISE EXCEPTION 'setpoint: %/%/%: revision moves to one of this commit (% to %), generation only rises, deletion is never taken back, and identity never changes',
      bad.kind, bad.namespace, bad.name, s.low, s.high USING ERRCODE = 'SP003';
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- held says whether attributes have finalizers. Escapes are taken out of all texts first: JSON may say \u0000, which PostgreSQL has no text for.
CREATE FUNCTION setpoint.held(attributes text) RETURNS boolean LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(json_array_length(regexp_replace(attributes, '\\.', '-', 'g')::json -> 'finalizers'), 0) > 0
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- guard_object_delete: an object goes by the commit that writes its last form, which nobody holds, and what hung on it has gone before.
CREATE FUNCTION setpoint.guard_object_delete() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE s record; bad record;
BEGIN
  s := setpoint.span();
  SELECT o.kind, o.namespace, o.name, o.revision NOT BETWEEN s.low AND s.high AS astray,
      setpoint.held(o.attributes) AS held INTO bad
    FROM old_rows o
    WHERE o.revision NOT BETWEEN s.low AND s.high OR setpoint.held(o.attributes)
       OR EXISTS (SELECT 1 FROM setpoint.command c WHERE c.owner = o.uid) OR EXISTS (SELECT 1 FROM setpoint.signal g WHERE g.uid = o.uid)
       OR EXISTS (SELECT 1 FROM setpoint.timer t WHERE t.uid = o.uid)
    LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'setpoint: %/%/%: not removed, %', bad.kind, bad.namespace, bad.name,
      CASE WHEN bad.held THEN 'finalizers hold it' WHEN bad.astray THEN 'its last form is not of this commit' ELSE 'commands, signals or timers hang on it' END
      USING ERRCODE = 'SP003', HINT = 'Ask for its deletion: setpoint delete.';
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- guard_span is for what has no rule but to belong to a commit.
CREATE FUNCTION setpoint.guard_span() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM setpoint.span();
  RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION setpoint.guard_never() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'setpoint: % on %: never done here', TG_OP, TG_TABLE_NAME USING ERRCODE = 'SP003';
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION setpoint.guard_counter() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.id <> OLD.id OR NEW.signals < OLD.signals OR NEW.at < OLD.at OR NEW.compacted < OLD.compacted OR NEW.compacted > NEW.revision THEN
    RAISE EXCEPTION 'setpoint: the counters only rise' USING ERRCODE = 'SP003';
  END IF;
  IF NEW.revision = OLD.revision AND NEW.first = OLD.first AND NEW.transaction = OLD.transaction THEN
    RETURN NEW;
  END IF;
  IF OLD.transaction = pg_current_xact_id() OR NEW.transaction <> pg_current_xact_id() OR NEW.first <> OLD.revision + 1 OR NEW.revision < NEW.first THEN
    RAISE EXCEPTION 'setpoint: the revision moves forward, once per transaction, from % on', OLD.revision + 1 USING ERRCODE = 'SP003';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- guard_gapless runs at the end of a transaction that moved the counter: the feed has every revision that it moved over.
CREATE FUNCTION setpoint.guard_gapless() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.first <> OLD.first AND (SELECT count(*) FROM setpoint.feed f WHERE f.revision BETWEEN NEW.first AND NEW.revision) <> NEW.revision - NEW.first + 1 THEN
    RAISE EXCEPTION 'setpoint: the feed lacks some of revision % to %', NEW.first, NEW.revision USING ERRCODE = 'SP003';
  END IF;
  IF NEW.first <> OLD.first AND EXISTS (SELECT 1 FROM setpoint.feed f WHERE f.revision > NEW.revision) THEN
    RAISE EXCEPTION 'setpoint: the feed has a commit after revision %, the last one', NEW.revision USING ERRCODE = 'SP003';
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION setpoint.guard_feed() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF OLD.revision <= (SELECT c.compacted FROM setpoint.counter c) THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'setpoint: the feed is what was; it is forgotten from its old end' USING ERRCODE = 'SP003';
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION setpoint.guard_history() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF OLD.at < (SELECT r.history FROM setpoint.retention r) THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'setpoint: history does not change; it is forgotten from its old end' USING ERRCODE = 'SP003';
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION setpoint.guard_lease() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.incarnation > (SELECT m.incarnation FROM setpoint.meta m) OR NEW.counter < 1 THEN
    RAISE EXCEPTION 'setpoint: lease %: it belongs to an incarnation that exists, and counts from 1', NEW.scope USING ERRCODE = 'SP003';
  END IF;
  IF TG_OP = 'INSERT' THEN
    RETURN NEW;
  END IF;
  IF NEW.scope <> OLD.scope OR NEW.incarnation < OLD.incarnation OR (NEW.incarnation = OLD.incarnation AND NEW.counter < OLD.counter)
     OR NEW.counter > OLD.counter + 1
     OR (NEW.holder <> OLD.holder AND NEW.holder <> '' AND NEW.incarnation = OLD.incarnation AND NEW.counter = OLD.counter) THEN
    RAISE EXCEPTION 'setpoint: lease %: epochs never fall, rise by one, and rise with every change of holder', NEW.scope USING ERRCODE = 'SP003';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION setpoint.guard_meta() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.id <> OLD.id OR NEW.database <> OLD.database OR NEW.shards <> OLD.shards OR NEW.created <> OLD.created OR NEW.incarnation < OLD.incarnation
     OR NEW.understood < OLD.understood THEN
    RAISE EXCEPTION 'setpoint: the identity of a database does not change, and its incarnation only rises' USING ERRCODE = 'SP003';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION setpoint.guard_committer() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.id <> OLD.id OR NEW.epoch < OLD.epoch THEN
    RAISE EXCEPTION 'setpoint: epochs of committers only rise' USING ERRCODE = 'SP003';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION setpoint.guard_retention() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.id <> OLD.id OR NEW.history < OLD.history OR NEW.history > clock_timestamp() THEN
    RAISE EXCEPTION 'setpoint: what is forgotten lies in the past, and is not remembered again' USING ERRCODE = 'SP003';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- guard_rules runs at the end of a transaction that wrote the rules of a kind: what is registered, as one text, and the rows that are looked up say the
-- same, and no object was left in a state that is gone.
CREATE FUNCTION setpoint.guard_rules() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE said json; stray record;
BEGIN
  SELECT k.rules::json INTO said FROM setpoint.kind k WHERE k.kind = CASE TG_OP WHEN 'DELETE' THEN OLD.kind ELSE NEW.kind END;
  IF EXISTS ((SELECT x.key COLLATE "C", y.v COLLATE "C" FROM json_each(said) x LEFT JOIN LATERAL json_array_elements_text(CASE json_typeof(x.value) WHEN 'array' THEN x.value ELSE '[]' END) y(v) ON true)
             EXCEPT SELECT s.state, t.to_state FROM setpoint.state s LEFT JOIN setpoint.transition t ON t.kind = s.kind AND t.from_state = s.state
               WHERE s.kind = CASE TG_OP WHEN 'DELETE' THEN OLD.kind ELSE NEW.kind END)
     OR EXISTS ((SELECT s.state, NULL FROM setpoint.state s WHERE s.kind = CASE TG_OP WHEN 'DELETE' THEN OLD.kind ELSE NEW.kind END
                 UNION SELECT t.from_state, t.to_state FROM setpoint.transition t WHERE t.kind = CASE TG_OP WHEN 'DELETE' THEN OLD.kind ELSE NEW.kind END)
             EXCEPT (SELECT x.key COLLATE "C", NULL FROM json_each(said) x
                 UNION SELECT x.key, y.v FROM json_each(said) x, json_array_elements_text(CASE json_typeof(x.value) WHEN 'array' THEN x.value ELSE '[]' END) y(v))) THEN
    RAISE EXCEPTION 'setpoint: kind %: its states and transitions are not those of its rules; rules change by registering the kind',
      CASE TG_OP WHEN 'DELETE' THEN OLD.kind ELSE NEW.kind END USING ERRCODE = 'SP003';
  END IF;
  IF TG_TABLE_NAME = 'state' AND TG_OP <> 'INSERT' THEN
    SELECT o.namespace, o.name INTO stray FROM setpoint.object o
      WHERE o.kind = OLD.kind AND o.state = OLD.state AND NOT EXISTS (SELECT 1 FROM setpoint.state s WHERE s.kind = OLD.kind AND s.state = OLD.state) LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION 'setpoint: kind %: %/% is in state "%"', OLD.kind, stray.namespace, stray.name, OLD.state USING ERRCODE = 'SP003';
    END IF;
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER guard_insert AFTER INSERT ON setpoint.object REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION setpoint.guard_object_insert();
CREATE TRIGGER guard_update AFTER UPDATE ON setpoint.object REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION setpoint.guard_object_update();
CREATE TRIGGER guard_delete AFTER DELETE ON setpoint.object REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION setpoint.guard_object_delete();
CREATE TRIGGER guard_span AFTER INSERT OR UPDATE OR DELETE ON setpoint.command FOR EACH STATEMENT EXECUTE FUNCTION setpoint.guard_span();
CREATE TRIGGER guard_span AFTER INSERT OR DELETE ON setpoint.signal FOR EACH STATEMENT EXECUTE FUNCTION setpoint.guard_span();
CREATE TRIGGER guard_update AFTER UPDATE ON setpoint.signal FOR EACH STATEMENT EXECUTE FUNCTION setpoint.guard_never();
CREATE TRIGGER guard_span AFTER INSERT OR UPDATE OR DELETE ON setpoint.timer FOR EACH STATEMENT EXECUTE FUNCTION setpoint.guard_span();
CREATE TRIGGER guard_update BEFORE UPDATE ON setpoint.counter FOR EACH ROW EXECUTE FUNCTION setpoint.guard_counter();
CREATE CONSTRAINT TRIGGER guard_gapless AFTER UPDATE ON setpoint.counter DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION setpoint.guard_gapless();
CREATE TRIGGER guard_rows BEFORE INSERT OR DELETE ON setpoint.counter FOR EACH STATEMENT EXECUTE FUNCTION setpoint.guard_never();
CREATE TRIGGER guard_update BEFORE UPDATE ON setpoint.meta FOR EACH ROW EXECUTE FUNCTION setpoint.guard_meta();
CREATE TRIGGER guard_rows BEFORE INSERT OR DELETE ON setpoint.meta FOR EACH STATEMENT EXECUTE FUNCTION setpoint.guard_never();
CREATE TRIGGER guard_update BEFORE UPDATE ON setpoint.committer FOR EACH ROW EXECUTE FUNCTION setpoint.guard_committer();
CREATE TRIGGER guard_insert AFTER INSERT ON setpoint.feed FOR EACH STATEMENT EXECUTE FUNCTION setpoint.guard_span();
CREATE TRIGGER guard_delete BEFORE DELETE ON setpoint.feed FOR EACH ROW EXECUTE FUNCTION setpoint.guard_feed();
CREATE TRIGGER guard_update BEFORE UPDATE ON setpoint.feed FOR EACH ROW EXECUTE FUNCTION setpoint.guard_never();
CREATE TRIGGER guard_insert AFTER INSERT ON setpoint.history FOR EACH STATEMENT EXECUTE FUNCTION setpoint.guard_span();
CREATE TRIGGER guard_delete BEFORE DELETE ON setpoint.history FOR EACH ROW EXECUTE FUNCTION setpoint.guard_history();
CREATE TRIGGER guard_update BEFORE UPDATE ON setpoint.history FOR EACH ROW EXECUTE FUNCTION setpoint.guard_never();
CREATE TRIGGER guard_write BEFORE INSERT OR UPDATE ON setpoint.lease FOR EACH ROW EXECUTE FUNCTION setpoint.guard_lease();
CREATE TRIGGER guard_delete BEFORE DELETE ON setpoint.lease FOR EACH STATEMENT EXECUTE FUNCTION setpoint.guard_never();

CREATE TRIGGER guard_update BEFORE UPDATE ON setpoint.retention FOR EACH ROW EXECUTE FUNCTION setpoint.guard_retention();
CREATE TRIGGER guard_rows BEFORE INSERT OR DELETE ON setpoint.retention FOR EACH STATEMENT EXECUTE FUNCTION setpoint.guard_never();
CREATE TRIGGER guard_delete BEFORE DELETE ON setpoint.kind FOR EACH STATEMENT EXECUTE FUNCTION setpoint.guard_never();
CREATE CONSTRAINT TRIGGER guard_rules AFTER INSERT OR UPDATE ON setpoint.kind DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION setpoint.guard_rules();
CREATE CONSTRAINT TRIGGER guard_rules AFTER INSERT OR UPDATE OR DELETE ON setpoint.state DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION setpoint.guard_rules();
CREATE CONSTRAINT TRIGGER guard_rules AFTER INSERT OR UPDATE OR DELETE ON setpoint.transition DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION setpoint.guard_rules();

-- +goose StatementBegin
-- guard_partition gives a partition the guards that it does not get from its parent: those are for statements, and see only statements that name the parent.
CREATE PROCEDURE setpoint.guard_partition(name text) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('CREATE TRIGGER guard_insert AFTER INSERT ON setpoint.%I FOR EACH STATEMENT EXECUTE FUNCTION setpoint.guard_span()', name);
  EXECUTE format('CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON setpoint.%I FOR EACH STATEMENT EXECUTE FUNCTION setpoint.guard_never()', name);
  EXECUTE format('ALTER TABLE setpoint.%I ENABLE ALWAYS TRIGGER guard_insert, ENABLE ALWAYS TRIGGER guard_truncate', name);
END $$;
-- +goose StatementEnd
CALL setpoint.guard_partition('feed_rest');
CALL setpoint.guard_partition('history_rest');

-- +goose StatementBegin
-- Nothing is emptied, and every guard works in every replication role.
DO $$
DECLARE t record;
BEGIN
  FOR t IN SELECT unnest(ARRAY['meta', 'counter', 'committer', 'object', 'command', 'signal', 'timer', 'feed', 'history', 'lease', 'kind', 'state', 'transition', 'retention']) AS name LOOP
    EXECUTE format('CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON setpoint.%I FOR EACH STATEMENT EXECUTE FUNCTION setpoint.guard_never()', t.name);
  END LOOP;
  FOR t IN SELECT c.relname AS name, g.tgname AS trigger FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
           WHERE c.relnamespace = 'setpoint'::regnamespace AND NOT g.tgisinternal AND g.tgname LIKE 'guard\_%' LOOP
    EXECUTE format('ALTER TABLE setpoint.%I ENABLE ALWAYS TRIGGER %I', t.name, t.trigger);
  END LOOP;
END $$;
-- +goose StatementEnd
