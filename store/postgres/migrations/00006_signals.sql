-- +goose Up
-- Signals say why they were raised, what they are about, and when they mean nothing any more; whoever raises one can state what he has seen; and the history is read
-- by kind. Older programs go on beside this one: they call commit_v1, which stays as it is, and their signals say nothing of these. (To change it would need a superuser
-- where the guard is set, and a wrapper would serve nobody for longer.)

ALTER TABLE setpoint.signal ADD COLUMN why text NOT NULL DEFAULT '', ADD COLUMN dedupe text NOT NULL DEFAULT '', ADD COLUMN expires bigint NOT NULL DEFAULT 0;

-- History of a kind, a page at a time in the order of the commits. New entries come at the end of their kind; the time is that of the partition.
CREATE INDEX history_by_kind ON setpoint.history (kind, revision);

-- +goose StatementBegin
CREATE FUNCTION setpoint.commit_v2(
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
  -- raised signals, in the order of their transactions; of expires 0 is never, of seen it is no condition
  g_member int[], g_own boolean[], g_kind text[], g_namespace text[], g_name text[], g_hash bigint[], g_uid text[], g_signal text[], g_payload text[], g_by text[], g_at bigint[],
  g_why text[], g_dedupe text[], g_expires bigint[], g_seen bigint[],
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
    -- No other member of the group raises a signal on an object on which one raises with a condition: what stands is in the table.
    IF 0 <> ANY (g_seen) THEN
      SELECT array_agg((w.member, 6, w.n, 2, x.newest, '')::setpoint.refusal) INTO more
        FROM unnest(g_member, g_uid, g_seen) WITH ORDINALITY w(member, uid, seen, n)
        CROSS JOIN LATERAL (SELECT max(s.revision) AS newest FROM setpoint.signal s WHERE s.uid = w.uid) x
        WHERE w.seen <> 0 AND x.newest > w.seen;
      refused := refused || more;
    END IF;
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
  UPDATE setpoint.counter c SET revision = rev, first = base.revision + 1, transaction = pg_current_xact_id(), signals = sig, at = commit_v2.at WHERE c.id = 1;
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
        SELECT commit_v2.at, w.hash, revisions[w.member], w.n * 4 + v.sub, w.kind, w.namespace, w.name, w.uid, v.type, v.from_state, v.to_state, '', w.reason, '',
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
        SELECT commit_v2.at, w.hash, revisions[w.member], 1000000 + w.n, w.kind, w.namespace, w.name, w.owner, 'Command', '', '', '', w.phase, w.message,
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
    INSERT INTO setpoint.signal (id, kind, namespace, name, uid, signal, payload, by_whom, at, why, dedupe, expires, revision)
      SELECT first_signals[w.member] + row_number() OVER (PARTITION BY w.member ORDER BY w.n) - 1, w.kind, w.namespace, w.name, w.uid, w.signal, w.payload, w.by_whom, w.at,
          w.why, w.dedupe, w.expires, revisions[w.member]
      FROM unnest(g_member, g_kind, g_namespace, g_name, g_uid, g_signal, g_payload, g_by, g_at, g_why, g_dedupe, g_expires)
        WITH ORDINALITY w(member, kind, namespace, name, uid, signal, payload, by_whom, at, why, dedupe, expires, n)
      WHERE revisions[w.member] > 0;
    INSERT INTO setpoint.history (at, hash, revision, line, kind, namespace, name, uid, type, from_state, to_state, severity, reason, message, writer, writer_object, cause_revision, cause)
      SELECT commit_v2.at, w.hash, revisions[w.member], 2000000 + w.n, w.kind, w.namespace, w.name, w.uid, 'Signal', '', '', '', w.signal,
        concat_ws(': ', 'raised by ' || nullif(w.by_whom, ''), nullif(w.why, '')), m_writer[w.member], m_writer_object[w.member], m_cause_revision[w.member], m_cause[w.member]
      FROM unnest(g_member, g_hash, g_kind, g_namespace, g_name, g_uid, g_signal, g_by, g_why) WITH ORDINALITY w(member, hash, kind, namespace, name, uid, signal, by_whom, why, n)
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
      SELECT commit_v2.at, w.hash, revisions[w.member], 3000000 + w.n, w.kind, w.namespace, w.name, w.uid, 'Event', '', '', w.severity, w.reason, w.message,
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
    SELECT revisions[w.n], commit_v2.at, first_signals[w.n], p_committer, p_first_member + w.n - 1, w.body, CASE WHEN o_goes THEN commit_v2.gone[w.n] END
    FROM unnest(m_body) WITH ORDINALITY w(body, n) WHERE revisions[w.n] > 0;
  PERFORM pg_notify('setpoint', rev::text);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE 'REVOKE ALL ON FUNCTION setpoint.commit_v2 FROM PUBLIC';
  EXECUTE 'GRANT EXECUTE ON FUNCTION setpoint.commit_v2 TO setpoint_app';
END $$;
-- +goose StatementEnd
