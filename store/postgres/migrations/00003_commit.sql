-- +goose Up
-- The one way to write: a group of transactions, each judged for itself, all written by one call. A new version of the engine that needs another
-- signature adds a function with another number; the old one stays for the old programs.

-- refusal says why a transaction of a group was refused. part is what was looked at (1 fence, 2 read, 3 object, 4 command, 5 consumed signal, 6 raised signal,
-- 7 timer), idx its place in that part's arrays, from 1.
CREATE TYPE setpoint.refusal AS (member int, part int, idx int, code int, actual bigint, words text);

-- +goose StatementBegin
-- lock_counter waits for the counter. Should its caller stop here, in a transaction of its own making, it is thrown out before long.
CREATE FUNCTION setpoint.lock_counter() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM 1 FROM setpoint.counter WHERE id = 1 FOR UPDATE;
  PERFORM set_config('idle_in_transaction_session_timeout', '2s', true);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION setpoint.open_v1(p_name text) RETURNS TABLE (committer bigint, epoch bigint) LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO setpoint.committer (id, name) VALUES (greatest(1, hashtextextended(gen_random_uuid()::text, 0) & 9223372036854775807), p_name) RETURNING id, epoch
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- resolve_v1 settles a group whose answer got lost. It waits until the counter is free, makes sure that the group cannot be committed any more, and returns
-- what of it was: the revisions after p_after that carry the committer's numbers. known is false when the feed is not retained that far back.
CREATE FUNCTION setpoint.resolve_v1(p_committer bigint, p_after bigint, p_low bigint, p_high bigint,
  OUT epoch bigint, OUT known boolean, OUT members bigint[], OUT revisions bigint[], OUT signals bigint[], OUT times timestamptz[], OUT gone json[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM setpoint.lock_counter();
  UPDATE setpoint.committer c SET epoch = c.epoch + 1 WHERE c.id = p_committer RETURNING c.epoch INTO epoch;
  SELECT c.compacted <= p_after INTO known FROM setpoint.counter c WHERE c.id = 1;
  SELECT array_agg(f.member ORDER BY f.revision), array_agg(f.revision ORDER BY f.revision), array_agg(f.first_signal ORDER BY f.revision),
         array_agg(f.at ORDER BY f.revision), array_agg(f.gone ORDER BY f.revision)
    INTO members, revisions, signals, times, gone
    FROM setpoint.feed f WHERE f.revision > p_after AND f.committer = p_committer AND f.member BETWEEN p_low AND p_high;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION setpoint.commit_v1(
  p_committer bigint, p_epoch bigint, p_first_member bigint,
  -- one entry per transaction
  m_body bytea[], m_signals int[], m_writer text[], m_writer_object text[], m_cause_revision bigint[], m_cause text[],
  -- fences
  f_member int[], f_scope text[], f_incarnation bigint[], f_counter bigint[],
  -- reads
  r_member int[], r_kind text[], r_namespace text[], r_name text[], r_revision bigint[],
  -- objects
  o_member int[], o_kind text[], o_namespace text[], o_name text[], o_uid text[], o_shard int[], o_hash bigint[], o_expect bigint[], o_removed boolean[],
  o_generation bigint[], o_created bigint[], o_deleted bigint[], o_state text[], o_since bigint[], o_attributes text[], o_spec text[], o_status text[],
  o_gone text[], o_reason text[],
  -- commands; own says that the transaction itself writes the object they hang on, closed that nothing is sent any more in the new phase
  c_member int[], c_own boolean[], c_owner text[], c_adapter text[], c_key text[], c_kind text[], c_namespace text[], c_name text[], c_hash bigint[],
  c_expect bigint[], c_delete boolean[], c_closed boolean[], c_phase text[], c_intent bigint[], c_token text[], c_body bytea[], c_message text[],
  -- consumed signals
  s_member int[], s_id bigint[],
  -- raised signals, in the order of their transactions
  g_member int[], g_own boolean[], g_kind text[], g_namespace text[], g_name text[], g_hash bigint[], g_uid text[], g_signal text[], g_payload text[], g_by text[], g_at bigint[],
  -- timers; due 0 clears
  t_member int[], t_own boolean[], t_kind text[], t_namespace text[], t_name text[], t_uid text[], t_controller text[], t_due bigint[], t_code text[],
  -- events
  e_member int[], e_kind text[], e_namespace text[], e_name text[], e_hash bigint[], e_uid text[], e_severity text[], e_reason text[], e_message text[],
  OUT at timestamptz, OUT revisions bigint[], OUT first_signals bigint[], OUT gone json[],
  OUT bad_member int[], OUT bad_part int[], OUT bad_idx int[], OUT bad_code int[], OUT bad_actual bigint[], OUT bad_words text[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  base     record;
  refused  setpoint.refusal[] := '{}';
  more     setpoint.refusal[];
  r        setpoint.refusal;
  bad      boolean[];
  o_id     bigint[];
  o_was    text[];
  o_told   boolean := false;
  o_goes   boolean := false;
  c_id     bigint[];
  c_told   boolean[];
  rev      bigint;
  sig      bigint;
  members  int := cardinality(m_body);
BEGIN
  -- The lock comes first, and alone: what follows sees everything that was committed before it was had.
  PERFORM setpoint.lock_counter();
  SELECT c.revision, c.signals, c.at, k.epoch INTO base FROM setpoint.counter c LEFT JOIN setpoint.committer k ON k.id = p_committer WHERE c.id = 1;
  IF base.epoch IS NULL OR base.epoch IS DISTINCT FROM p_epoch THEN
    RAISE EXCEPTION 'setpoint: committer % is at epoch %, not %', p_committer, base.epoch, p_epoch USING ERRCODE = 'SP001';
  END IF;

  -- Judge.
  IF cardinality(f_member) > 0 THEN
    SELECT array_agg((w.member, 1, w.n, 1, 0, coalesce(format('%s:%s:%s', l.incarnation, l.counter, l.holder), ''))::setpoint.refusal) INTO more
      FROM unnest(f_member, f_scope, f_incarnation, f_counter) WITH ORDINALITY w(member, scope, incarnation, counter, n)
      LEFT JOIN setpoint.lease l ON l.scope = w.scope
      WHERE l.scope IS NULL OR l.incarnation <> w.incarnation OR l.counter <> w.counter;
    refused := refused || more;
  END IF;
  IF cardinality(r_member) > 0 THEN
    SELECT array_agg((w.member, 2, w.n, 1, coalesce(o.revision, 0), '')::setpoint.refusal) INTO more
      FROM unnest(r_member, r_kind, r_namespace, r_name, r_revision) WITH ORDINALITY w(member, kind, namespace, name, revision, n)
      LEFT JOIN setpoint.object o ON o.kind = w.kind AND o.namespace = w.namespace AND o.name = w.name
      WHERE coalesce(o.revision, 0) <> w.revision;
    refused := refused || more;
  END IF;
  IF cardinality(o_member) > 0 THEN
    SELECT array_agg(j.id), array_agg(j.was), bool_or(j.id = 0 OR j.was <> j.state OR j.removed), bool_or(j.removed),
        array_agg((j.member, 3, j.n, j.code, j.revision, coalesce(j.words, ''))::setpoint.refusal) FILTER (WHERE j.code <> 0)
      INTO o_id, o_was, o_told, o_goes, more
      FROM (
        SELECT w.n, w.member, w.state, w.removed, coalesce(o.id, 0) AS id, coalesce(o.state, '') AS was, coalesce(o.revision, 0) AS revision,
            CASE WHEN coalesce(o.revision, 0) <> w.expect THEN ''
                 WHEN o.uid <> w.uid THEN o.uid
                 WHEN o.created <> w.created THEN o.created::text
                 WHEN w.generation < o.generation THEN o.generation::text
                 WHEN o.deleted <> 0 AND w.deleted <> o.deleted THEN o.deleted::text
                 ELSE o.state END AS words,
            CASE WHEN coalesce(o.revision, 0) <> w.expect THEN 1
                 WHEN o.id IS NULL THEN CASE WHEN EXISTS (SELECT 1 FROM setpoint.kind k WHERE k.kind = w.kind)
                   AND NOT EXISTS (SELECT 1 FROM setpoint.state t WHERE t.kind = w.kind AND t.state = w.state) THEN 6 ELSE 0 END
                 WHEN o.uid <> w.uid THEN 2
                 WHEN o.created <> w.created THEN 3
                 WHEN w.generation < o.generation THEN 4
                 WHEN o.deleted <> 0 AND w.deleted <> o.deleted THEN 5
                 WHEN w.state <> o.state AND EXISTS (SELECT 1 FROM setpoint.kind k WHERE k.kind = w.kind)
                   AND NOT EXISTS (SELECT 1 FROM setpoint.transition t WHERE t.kind = w.kind AND t.from_state = o.state AND t.to_state = w.state) THEN 7
                 WHEN w.removed AND w.gone <> '' AND w.gone <> w.state AND EXISTS (SELECT 1 FROM setpoint.kind k WHERE k.kind = w.kind)
                   AND NOT EXISTS (SELECT 1 FROM setpoint.transition t WHERE t.kind = w.kind AND t.from_state = w.state AND t.to_state = w.gone) THEN 8
                 ELSE 0 END AS code
          FROM unnest(o_member, o_kind, o_namespace, o_name, o_uid, o_expect, o_removed, o_generation, o_created, o_deleted, o_state, o_gone)
            WITH ORDINALITY w(member, kind, namespace, name, uid, expect, removed, generation, created, deleted, state, gone, n)
          LEFT JOIN setpoint.object o ON o.kind = w.kind AND o.namespace = w.namespace AND o.name = w.name
          ORDER BY w.n) j;
    refused := refused || more;
  END IF;
  IF cardinality(c_member) > 0 THEN
    SELECT array_agg(j.id), array_agg(j.told), array_agg((j.member, 4, j.n, j.code, j.revision, coalesce(j.uid, ''))::setpoint.refusal) FILTER (WHERE j.code <> 0)
      INTO c_id, c_told, more
      FROM (
        SELECT w.n, w.member, coalesce(c.id, 0) AS id, coalesce(c.revision, 0) AS revision, o.uid,
            w.closed AND NOT w.gone AND (c.id IS NULL OR c.phase <> w.phase OR c.intent <> w.intent) AS told,
            CASE WHEN coalesce(c.revision, 0) <> w.expect THEN 1 WHEN w.expect = 0 AND NOT w.own AND o.uid IS DISTINCT FROM w.owner THEN 2 ELSE 0 END AS code
          FROM unnest(c_member, c_own, c_owner, c_adapter, c_key, c_kind, c_namespace, c_name, c_expect, c_delete, c_closed, c_phase, c_intent)
            WITH ORDINALITY w(member, own, owner, adapter, key, kind, namespace, name, expect, gone, closed, phase, intent, n)
          LEFT JOIN setpoint.command c ON c.owner = w.owner AND c.adapter = w.adapter AND c.key = w.key
          LEFT JOIN setpoint.object o ON w.expect = 0 AND NOT w.own AND o.kind = w.kind AND o.namespace = w.namespace AND o.name = w.name
          ORDER BY w.n) j;
    refused := refused || more;
  END IF;
  IF cardinality(s_member) > 0 THEN
    -- A signal goes with its object; the group knows only by its number what a member consumes. So one may follow the removal that takes it.
    SELECT array_agg((w.member, 5, w.n, 1, w.id, '')::setpoint.refusal) INTO more
      FROM unnest(s_member, s_id) WITH ORDINALITY w(member, id, n) LEFT JOIN setpoint.signal s ON s.id = w.id
      WHERE s.id IS NULL OR o_goes AND EXISTS (SELECT 1 FROM unnest(o_member, o_removed, o_uid) x(member, removed, uid)
        WHERE x.removed AND x.member < w.member AND x.uid = s.uid AND NOT EXISTS (SELECT 1 FROM unnest(refused) q WHERE q.member = x.member));
    refused := refused || more;
  END IF;
  IF cardinality(g_member) > 0 THEN
    SELECT array_agg((w.member, 6, w.n, 1, 0, coalesce(o.uid, ''))::setpoint.refusal) INTO more
      FROM unnest(g_member, g_own, g_kind, g_namespace, g_name, g_uid) WITH ORDINALITY w(member, own, kind, namespace, name, uid, n)
      LEFT JOIN setpoint.object o ON NOT w.own AND o.kind = w.kind AND o.namespace = w.namespace AND o.name = w.name
      WHERE NOT w.own AND o.uid IS DISTINCT FROM w.uid;
    refused := refused || more;
  END IF;
  IF cardinality(t_member) > 0 THEN
    SELECT array_agg((w.member, 7, w.n, 1, 0, coalesce(o.uid, ''))::setpoint.refusal) INTO more
      FROM unnest(t_member, t_own, t_kind, t_namespace, t_name, t_uid, t_due) WITH ORDINALITY w(member, own, kind, namespace, name, uid, due, n)
      LEFT JOIN setpoint.object o ON NOT w.own AND w.due <> 0 AND o.kind = w.kind AND o.namespace = w.namespace AND o.name = w.name
      WHERE NOT w.own AND w.due <> 0 AND o.uid IS DISTINCT FROM w.uid;
    refused := refused || more;
  END IF;

  -- Number what is accepted. A transaction without a body changes nothing, and gets the revision it was judged at.
  bad := array_fill(false, ARRAY[members]);
  IF cardinality(refused) > 0 THEN
    FOREACH r IN ARRAY refused LOOP
      bad[r.member] := true;
    END LOOP;
    SELECT array_agg(x.member), array_agg(x.part), array_agg(x.idx), array_agg(x.code), array_agg(x.actual), array_agg(x.words)
      INTO bad_member, bad_part, bad_idx, bad_code, bad_actual, bad_words FROM unnest(refused) x;
  END IF;
  revisions := array_fill(0::bigint, ARRAY[members]);
  first_signals := revisions;
  at := greatest(clock_timestamp(), base.at);
  rev := base.revision;
  sig := base.signals;
  FOR i IN 1..members LOOP
    CONTINUE WHEN bad[i];
    IF m_body[i] IS NULL THEN
      revisions[i] := -rev;
      CONTINUE;
    END IF;
    rev := rev + 1;
    revisions[i] := rev;
    first_signals[i] := sig + 1;
    sig := sig + m_signals[i];
  END LOOP;
  IF rev = base.revision THEN
    RETURN;
  END IF;

  -- Write the survivors.
  UPDATE setpoint.counter c SET revision = rev, first = base.revision + 1, transaction = pg_current_xact_id(), signals = sig, at = commit_v1.at WHERE c.id = 1;
  IF cardinality(o_member) > 0 THEN
    UPDATE setpoint.object o SET generation = w.generation, revision = revisions[w.member], deleted = w.deleted, state = w.state, state_since = w.since,
        attributes = w.attributes, spec = w.spec, status = w.status
      FROM unnest(o_id, o_member, o_generation, o_deleted, o_state, o_since, o_attributes, o_spec, o_status)
        w(id, member, generation, deleted, state, since, attributes, spec, status)
      WHERE o.id = w.id AND w.id <> 0 AND revisions[w.member] > 0;
    IF o_told THEN
      INSERT INTO setpoint.object (kind, namespace, name, uid, shard, generation, revision, created, deleted, state, state_since, attributes, spec, status)
        SELECT w.kind, w.namespace, w.name, w.uid, w.shard, w.generation, revisions[w.member], w.created, w.deleted, w.state, w.since, w.attributes, w.spec, w.status
        FROM unnest(o_id, o_member, o_kind, o_namespace, o_name, o_uid, o_shard, o_generation, o_created, o_deleted, o_state, o_since, o_attributes, o_spec, o_status)
          w(id, member, kind, namespace, name, uid, shard, generation, created, deleted, state, since, attributes, spec, status)
        WHERE w.id = 0 AND revisions[w.member] > 0;
      INSERT INTO setpoint.history (at, hash, revision, line, kind, namespace, name, uid, type, from_state, to_state, severity, reason, message, writer, writer_object, cause_revision, cause)
        SELECT commit_v1.at, w.hash, revisions[w.member], w.n * 4 + v.sub, w.kind, w.namespace, w.name, w.uid, v.type, v.from_state, v.to_state, '', w.reason, '',
          m_writer[w.member], m_writer_object[w.member], m_cause_revision[w.member], m_cause[w.member]
        FROM unnest(o_id, o_was, o_member, o_hash, o_kind, o_namespace, o_name, o_uid, o_state, o_removed, o_gone, o_reason)
          WITH ORDINALITY w(id, was, member, hash, kind, namespace, name, uid, state, removed, gone, reason, n),
        LATERAL (VALUES
          (0, 'Created', '', w.state, w.id = 0),
          (1, 'Transition', w.was, w.state, w.id <> 0 AND w.was <> w.state),
          (2, 'Transition', w.state, w.gone, w.removed AND w.gone <> '' AND w.gone <> w.state),
          (3, 'Removed', CASE WHEN w.gone <> '' THEN w.gone ELSE w.state END, '', w.removed)) v(sub, type, from_state, to_state, holds)
        WHERE v.holds AND revisions[w.member] > 0;
    END IF;
  END IF;
  IF cardinality(c_member) > 0 THEN
    UPDATE setpoint.command c SET revision = revisions[w.member], phase = w.phase, intent = w.intent, token = w.token, body = w.body
      FROM unnest(c_id, c_member, c_delete, c_phase, c_intent, c_token, c_body) w(id, member, gone, phase, intent, token, body)
      WHERE c.id = w.id AND w.id <> 0 AND NOT w.gone AND revisions[w.member] > 0;
    INSERT INTO setpoint.command (owner, adapter, key, revision, phase, intent, token, body)
      SELECT w.owner, w.adapter, w.key, revisions[w.member], w.phase, w.intent, w.token, w.body
      FROM unnest(c_id, c_member, c_owner, c_adapter, c_key, c_phase, c_intent, c_token, c_body) w(id, member, owner, adapter, key, phase, intent, token, body)
      WHERE w.id = 0 AND revisions[w.member] > 0;
    IF true = ANY (c_delete) THEN
      DELETE FROM setpoint.command c USING unnest(c_id, c_member, c_delete) w(id, member, gone) WHERE c.id = w.id AND w.gone AND revisions[w.member] > 0;
    END IF;
    IF true = ANY (c_told) THEN
      INSERT INTO setpoint.history (at, hash, revision, line, kind, namespace, name, uid, type, from_state, to_state, severity, reason, message, writer, writer_object, cause_revision, cause)
        SELECT commit_v1.at, w.hash, revisions[w.member], 1000000 + w.n, w.kind, w.namespace, w.name, w.owner, 'Command', '', '', '', w.phase, w.message,
          m_writer[w.member], m_writer_object[w.member], m_cause_revision[w.member], m_cause[w.member]
        FROM unnest(c_told, c_member, c_hash, c_kind, c_namespace, c_name, c_owner, c_phase, c_message)
          WITH ORDINALITY w(told, member, hash, kind, namespace, name, owner, phase, message, n)
        WHERE w.told AND revisions[w.member] > 0;
    END IF;
  END IF;
  IF cardinality(s_member) > 0 THEN
    DELETE FROM setpoint.signal s USING unnest(s_member, s_id) w(member, id) WHERE s.id = w.id AND revisions[w.member] > 0;
  END IF;
  IF cardinality(g_member) > 0 THEN
    INSERT INTO setpoint.signal (id, kind, namespace, name, uid, signal, payload, by_whom, at, revision)
      SELECT first_signals[w.member] + row_number() OVER (PARTITION BY w.member ORDER BY w.n) - 1, w.kind, w.namespace, w.name, w.uid, w.signal, w.payload, w.by_whom, w.at, revisions[w.member]
      FROM unnest(g_member, g_kind, g_namespace, g_name, g_uid, g_signal, g_payload, g_by, g_at) WITH ORDINALITY w(member, kind, namespace, name, uid, signal, payload, by_whom, at, n)
      WHERE revisions[w.member] > 0;
    INSERT INTO setpoint.history (at, hash, revision, line, kind, namespace, name, uid, type, from_state, to_state, severity, reason, message, writer, writer_object, cause_revision, cause)
      SELECT commit_v1.at, w.hash, revisions[w.member], 2000000 + w.n, w.kind, w.namespace, w.name, w.uid, 'Signal', '', '', '', w.signal,
        CASE WHEN w.by_whom = '' THEN '' ELSE 'raised by ' || w.by_whom END, m_writer[w.member], m_writer_object[w.member], m_cause_revision[w.member], m_cause[w.member]
      FROM unnest(g_member, g_hash, g_kind, g_namespace, g_name, g_uid, g_signal, g_by) WITH ORDINALITY w(member, hash, kind, namespace, name, uid, signal, by_whom, n)
      WHERE revisions[w.member] > 0;
  END IF;
  IF cardinality(t_member) > 0 THEN
    INSERT INTO setpoint.timer AS t (uid, controller, kind, namespace, name, due, code, revision)
      SELECT w.uid, w.controller, w.kind, w.namespace, w.name, w.due, w.code, revisions[w.member]
      FROM unnest(t_member, t_kind, t_namespace, t_name, t_uid, t_controller, t_due, t_code) w(member, kind, namespace, name, uid, controller, due, code)
      WHERE w.due <> 0 AND revisions[w.member] > 0
      ON CONFLICT (uid, controller) DO UPDATE SET due = excluded.due, code = excluded.code, revision = excluded.revision;
    IF 0 = ANY (t_due) THEN
      DELETE FROM setpoint.timer t USING unnest(t_member, t_uid, t_controller, t_due) w(member, uid, controller, due)
        WHERE w.due = 0 AND t.uid = w.uid AND t.controller = w.controller AND revisions[w.member] > 0;
    END IF;
  END IF;
  IF cardinality(e_member) > 0 THEN
    INSERT INTO setpoint.history (at, hash, revision, line, kind, namespace, name, uid, type, from_state, to_state, severity, reason, message, writer, writer_object, cause_revision, cause)
      SELECT commit_v1.at, w.hash, revisions[w.member], 3000000 + w.n, w.kind, w.namespace, w.name, w.uid, 'Event', '', '', w.severity, w.reason, w.message,
        m_writer[w.member], m_writer_object[w.member], m_cause_revision[w.member], m_cause[w.member]
      FROM unnest(e_member, e_hash, e_kind, e_namespace, e_name, e_uid, e_severity, e_reason, e_message) WITH ORDINALITY w(member, hash, kind, namespace, name, uid, severity, reason, message, n)
      WHERE revisions[w.member] > 0;
  END IF;
  -- What hangs on objects that go, goes with them, and is told.
  IF o_goes THEN
    SELECT array_agg(x.gone ORDER BY x.i) INTO gone FROM (
      SELECT i, (SELECT json_build_object(
          'commands', (SELECT json_agg(encode(c.body, 'base64')) FROM setpoint.command c WHERE c.owner = ANY (u.uids)),
          'signals', (SELECT json_agg(s.id) FROM setpoint.signal s WHERE s.uid = ANY (u.uids)),
          'timers', (SELECT json_agg(json_build_object('controller', t.controller, 'kind', t.kind, 'namespace', t.namespace, 'name', t.name, 'uid', t.uid)) FROM setpoint.timer t WHERE t.uid = ANY (u.uids)))
        FROM (SELECT array_agg(w.uid) AS uids FROM unnest(o_member, o_removed, o_uid) w(member, removed, uid) WHERE w.member = i AND w.removed AND revisions[i] > 0) u WHERE u.uids IS NOT NULL) AS gone
      FROM generate_series(1, members) i) x;
    DELETE FROM setpoint.command c USING unnest(o_member, o_removed, o_uid) w(member, removed, uid) WHERE c.owner = w.uid AND w.removed AND revisions[w.member] > 0;
    DELETE FROM setpoint.signal s USING unnest(o_member, o_removed, o_uid) w(member, removed, uid) WHERE s.uid = w.uid AND w.removed AND revisions[w.member] > 0;
    DELETE FROM setpoint.timer t USING unnest(o_member, o_removed, o_uid) w(member, removed, uid) WHERE t.uid = w.uid AND w.removed AND revisions[w.member] > 0;
    DELETE FROM setpoint.object o USING unnest(o_member, o_removed, o_uid) w(member, removed, uid) WHERE o.uid = w.uid AND w.removed AND revisions[w.member] > 0;
  END IF;
  INSERT INTO setpoint.feed (revision, at, first_signal, committer, member, body, gone)
    SELECT revisions[w.n], commit_v1.at, first_signals[w.n], p_committer, p_first_member + w.n - 1, w.body, CASE WHEN o_goes THEN commit_v1.gone[w.n] END
    FROM unnest(m_body) WITH ORDINALITY w(body, n) WHERE revisions[w.n] > 0;
  PERFORM pg_notify('setpoint', rev::text);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- acquire_v1 takes a lease, or renews it. A change of holder waits for the counter: a commit under way is either judged by the old epoch and before it, or refused.
CREATE FUNCTION setpoint.acquire_v1(p_scope text, p_holder text, p_ttl interval,
  OUT mine boolean, OUT holder text, OUT incarnation bigint, OUT counter bigint, OUT expires timestamptz, OUT revision bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  l setpoint.lease;
BEGIN
  UPDATE setpoint.lease k SET expires = clock_timestamp() + p_ttl
    WHERE k.scope = p_scope AND k.holder = p_holder AND k.incarnation = (SELECT m.incarnation FROM setpoint.meta m) RETURNING k.* INTO l;
  IF l.scope IS NULL THEN
    PERFORM setpoint.lock_counter();
    INSERT INTO setpoint.lease AS k (scope, holder, incarnation, counter, expires)
      SELECT p_scope, p_holder, m.incarnation, 1, clock_timestamp() + p_ttl FROM setpoint.meta m
      ON CONFLICT (scope) DO UPDATE SET holder = excluded.holder, incarnation = excluded.incarnation, expires = excluded.expires,
        counter = CASE WHEN k.incarnation = excluded.incarnation THEN k.counter + 1 ELSE 1 END
      WHERE k.holder = '' OR k.expires < clock_timestamp() OR k.holder = excluded.holder
      RETURNING k.* INTO l;
    IF l.scope IS NULL THEN
      SELECT k.* INTO l FROM setpoint.lease k WHERE k.scope = p_scope;
    END IF;
  END IF;
  mine := l.holder = p_holder;
  holder := l.holder; incarnation := l.incarnation; counter := l.counter; expires := l.expires;
  SELECT c.revision INTO revision FROM setpoint.counter c WHERE c.id = 1;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION setpoint.release_v1(p_scope text, p_holder text, p_incarnation bigint, p_counter bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  UPDATE setpoint.lease SET holder = '', expires = '-infinity' WHERE scope = p_scope AND holder = p_holder AND incarnation = p_incarnation AND counter = p_counter
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- register_v1 replaces the rules of a kind. It returns an object that is in a state which the new table does not know, and then changes nothing.
CREATE FUNCTION setpoint.register_v1(p_kind text, p_rules text, p_states text[], p_from text[], p_to text[], OUT stray_namespace text, OUT stray_name text, OUT stray_state text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM setpoint.lock_counter();
  SELECT o.namespace, o.name, o.state INTO stray_namespace, stray_name, stray_state FROM setpoint.object o WHERE o.kind = p_kind AND NOT o.state = ANY (p_states) LIMIT 1;
  IF stray_name IS NOT NULL THEN
    RETURN;
  END IF;
  INSERT INTO setpoint.kind (kind, rules) VALUES (p_kind, p_rules) ON CONFLICT (kind) DO UPDATE SET rules = excluded.rules;
  DELETE FROM setpoint.transition t WHERE t.kind = p_kind;
  DELETE FROM setpoint.state s WHERE s.kind = p_kind;
  INSERT INTO setpoint.state (kind, state) SELECT p_kind, w FROM unnest(p_states) w;
  INSERT INTO setpoint.transition (kind, from_state, to_state) SELECT DISTINCT p_kind, w.a, w.b FROM unnest(p_from, p_to) w(a, b);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- compact_v1 forgets the feed up to a revision, and history before a time. Whole partitions are dropped; what is left of a partition that reaches beyond stays.
CREATE FUNCTION setpoint.compact_v1(p_revision bigint, p_history timestamptz, OUT compacted bigint) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM setpoint.lock_counter();
  UPDATE setpoint.counter c SET compacted = greatest(c.compacted, least(p_revision, c.revision)) WHERE c.id = 1 RETURNING c.compacted INTO compacted;
  UPDATE setpoint.retention r SET history = greatest(r.history, least(p_history, clock_timestamp())) WHERE r.id = 1;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- partition makes a partition with its guards, to be put into its table.
CREATE FUNCTION setpoint.partition(p_parent text, p_name text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('CREATE TABLE setpoint.%I (LIKE setpoint.%I INCLUDING DEFAULTS)', p_name, p_parent);
  CALL setpoint.guard_partition(p_name);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- hurry is for changes of partitions, for which nobody waits for long: what does not get its locks soon, raises, and is called again later.
CREATE FUNCTION setpoint.hurry() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM set_config('lock_timeout', '100ms', true);
  PERFORM set_config('idle_in_transaction_session_timeout', '2s', true);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- partitions_v1 sees to it that the feed and the history have partitions for what comes, unless rows of that time are in the rest already. Locks that commits
-- meet (those of the rest) come last, in the order in which commits take theirs: history, then feed.
CREATE FUNCTION setpoint.partitions_v1(p_span bigint, p_day interval, OUT created int) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  head    bigint := (SELECT c.revision FROM setpoint.counter c WHERE c.id = 1);
  missing json;
  p       record;
BEGIN
  PERFORM setpoint.hurry();
  created := 0;
  IF NOT pg_try_advisory_xact_lock(5360845200124) THEN
    RETURN; -- another process is making them
  END IF;
  SELECT coalesce(json_agg(w ORDER BY w.turn, w.name), '[]') INTO missing FROM (
    SELECT 1 AS turn, 'history' AS parent, 'history_' || to_char(d.day AT TIME ZONE 'UTC', 'YYYYMMDD"_"HH24MISS') AS name, format('FROM (%L) TO (%L)', d.day, d.day + p_day) AS bounds
      FROM (SELECT date_bin(p_day, clock_timestamp() + i * p_day, '2020-01-01Z') AS day FROM generate_series(0, 2) i) d
      WHERE NOT EXISTS (SELECT 1 FROM setpoint.history_rest h WHERE h.at >= d.day AND h.at < d.day + p_day)
    UNION ALL
    SELECT 2, 'feed', 'feed_' || f.low, format('FROM (%s) TO (%s)', f.low, f.low + p_span)
      FROM (SELECT (head / p_span + i) * p_span AS low FROM generate_series(0, 2) i) f
      WHERE NOT EXISTS (SELECT 1 FROM setpoint.feed_rest r WHERE r.revision >= f.low AND r.revision < f.low + p_span)) w
    WHERE to_regclass('setpoint.' || w.name) IS NULL;
  FOR p IN SELECT * FROM json_to_recordset(missing) x(parent text, name text) LOOP
    PERFORM setpoint.partition(p.parent, p.name);
  END LOOP;
  FOR p IN SELECT * FROM json_to_recordset(missing) x(parent text, name text, bounds text) LOOP
    EXECUTE format('ALTER TABLE setpoint.%I ATTACH PARTITION setpoint.%I FOR VALUES %s', p.parent, p.name, p.bounds);
    created := created + 1;
  END LOOP;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- prune_v1 drops the partitions in which nothing is retained, empties the rest of what is not, and removes the rows of old committers. A table is locked as a whole before anything in it, and in the order
-- in which commits take theirs.
CREATE FUNCTION setpoint.prune_v1(OUT dropped int) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  p    record;
  last text := '';
BEGIN
  PERFORM setpoint.hurry();
  PERFORM pg_advisory_xact_lock(5360845200125);
  dropped := 0;
  FOR p IN
    SELECT k.oid, k.relname AS name, b.parent
      FROM setpoint.counter c, setpoint.retention r, (VALUES (1, 'history'), (2, 'feed')) b(turn, parent)
      JOIN pg_inherits i ON i.inhparent = ('setpoint.' || b.parent)::regclass JOIN pg_class k ON k.oid = i.inhrelid
      CROSS JOIN LATERAL (SELECT (regexp_match(pg_get_expr(k.relpartbound, k.oid), 'TO \(''?([^'')]*)''?\)'))[1] AS till) x
      WHERE CASE WHEN x.till IS NULL THEN false WHEN b.parent = 'feed' THEN x.till::bigint <= c.compacted + 1 ELSE x.till::timestamptz <= r.history END
      ORDER BY b.turn LOOP
    IF p.parent <> last THEN
      EXECUTE format('LOCK TABLE ONLY setpoint.%I IN ACCESS EXCLUSIVE MODE', p.parent);
      last := p.parent;
    END IF;
    EXECUTE format('DROP TABLE setpoint.%I', p.name);
    dropped := dropped + 1;
  END LOOP;
  DELETE FROM setpoint.history_rest h WHERE h.at < (SELECT r.history FROM setpoint.retention r);
  DELETE FROM setpoint.feed_rest f WHERE f.revision <= (SELECT c.compacted FROM setpoint.counter c);
  -- A process that lives still after so long is refused once (SP001), and opens a new row.
  DELETE FROM setpoint.committer k WHERE k.since < clock_timestamp() - interval '30 days';
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- blockers_v1 names the sessions that a committer waits for, and those that they wait for. With p_end, those that have waited for their own client for so
-- long are ended, if they are the application's and the owner of this function may do so (it needs pg_signal_backend, and pg_read_all_stats to see).
CREATE FUNCTION setpoint.blockers_v1(p_pid int, p_end interval) RETURNS TABLE (pid int, role text, application text, address text, state text, waits text, busy interval, ended boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  b record;
BEGIN
  FOR b IN
    WITH RECURSIVE w(pid) AS (SELECT unnest(pg_blocking_pids(p_pid)) UNION SELECT unnest(pg_blocking_pids(w.pid)) FROM w)
    SELECT a.*, coalesce(a.wait_event = 'ClientRead' AND clock_timestamp() - a.state_change > p_end AND pg_has_role(a.usesysid, 'setpoint_app', 'MEMBER'), false) AS stands
    FROM w JOIN pg_stat_activity a ON a.pid = w.pid WHERE a.pid <> p_pid
  LOOP
    pid := b.pid; role := coalesce(b.usename::text, ''); application := coalesce(b.application_name, ''); address := coalesce(host(b.client_addr), 'local');
    state := coalesce(b.state, 'unknown'); waits := coalesce(b.wait_event_type || '/' || b.wait_event, ''); busy := coalesce(clock_timestamp() - b.xact_start, '0');
    ended := false;
    IF b.stands THEN
      BEGIN
        ended := pg_terminate_backend(b.pid);
      EXCEPTION WHEN insufficient_privilege THEN
        ended := false; -- it is named all the same; its own time-out ends it, or a person
      END;
    END IF;
    RETURN NEXT;
  END LOOP;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE 'REVOKE ALL ON ALL TABLES IN SCHEMA setpoint FROM PUBLIC';
  EXECUTE 'REVOKE ALL ON ALL FUNCTIONS IN SCHEMA setpoint FROM PUBLIC';
  EXECUTE 'GRANT USAGE ON SCHEMA setpoint TO setpoint_app, setpoint_read';
  EXECUTE 'GRANT SELECT ON ALL TABLES IN SCHEMA setpoint TO setpoint_app, setpoint_read';
  EXECUTE 'REVOKE ALL ON ALL PROCEDURES IN SCHEMA setpoint FROM PUBLIC';
  EXECUTE 'GRANT EXECUTE ON FUNCTION setpoint.open_v1, setpoint.resolve_v1, setpoint.commit_v1, setpoint.acquire_v1, setpoint.release_v1, setpoint.register_v1, setpoint.compact_v1, setpoint.partitions_v1, setpoint.prune_v1, setpoint.blockers_v1 TO setpoint_app';
END $$;
-- +goose StatementEnd
