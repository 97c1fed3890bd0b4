-- +goose Up
-- The work of the database divided among nodes. A shard's assignment is a row of lease, "shard/17", whose holder is a node's ID and whose expires means nothing: so commits check
-- the epochs of shards as they check any, and the guard of leases keeps them from falling.
--
-- The version of the assignments and cordons is the counter of one more such row, "shards": the same guard lets it rise by one only, and keeps the row. There is no new trigger,
-- because where a superuser has set the guard the owner could not make one: nothing that is safe rests on the new tables. They say who is a member, for whoever wants
-- the shards of one who is none; an epoch that rises is what keeps the former node out.

ALTER TABLE setpoint.lease ADD COLUMN since timestamptz NOT NULL DEFAULT '-infinity'; -- when a shard's holder changed

INSERT INTO setpoint.lease (scope, holder, incarnation, counter, expires) SELECT 'shards', '', m.incarnation, 1, '-infinity' FROM setpoint.meta m;

-- One row per run of a process, written with each of its beats: no index has a column that changes, and pages keep room. There are few rows, and they are read whole.
CREATE TABLE setpoint.node (
  id      text COLLATE "C" PRIMARY KEY CHECK (id <> ''),
  name    text COLLATE "C" NOT NULL CHECK (name <> ''),
  version text NOT NULL,
  address text NOT NULL,
  trouble text NOT NULL,
  joined  timestamptz NOT NULL,
  seen    timestamptz NOT NULL,
  expires timestamptz NOT NULL,  -- when it is no member any more, unless it beats
  skew    interval NOT NULL      -- by how much its clock was ahead
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- Names of nodes that are to have no shards.
CREATE TABLE setpoint.cordon (
  name  text COLLATE "C" PRIMARY KEY CHECK (name <> ''),
  since timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- +goose StatementBegin
-- lock_shards waits for the version: whoever changes assignments or cordons has it first, and who needs the counter too has that before. Should its caller stop here, in a
-- transaction of its own making, it is thrown out before long.
CREATE FUNCTION setpoint.lock_shards() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM 1 FROM setpoint.lease WHERE scope = 'shards' FOR UPDATE;
  PERFORM set_config('idle_in_transaction_session_timeout', '2s', true);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- moved_shards gives what has changed a new version, and tells everybody.
CREATE FUNCTION setpoint.moved_shards() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  version bigint;
BEGIN
  UPDATE setpoint.lease k SET counter = k.counter + 1 WHERE k.scope = 'shards' RETURNING k.counter INTO version;
  PERFORM pg_notify('setpoint_shards', version::text);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- assigned_v1 are the assignments. The scopes are a range of the primary key.
CREATE FUNCTION setpoint.assigned_v1() RETURNS TABLE (shard int, node text, incarnation bigint, counter bigint, since timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT x.shard, k.holder, k.incarnation, k.counter, k.since
    FROM setpoint.meta m, setpoint.lease k CROSS JOIN LATERAL (SELECT CASE WHEN k.scope ~ '^shard/[0-9]{1,5}$' THEN substr(k.scope, 7)::int END AS shard) x
    WHERE k.scope >= 'shard/' AND k.scope < 'shard0' AND k.holder <> '' AND k.incarnation = m.incarnation AND x.shard < m.shards
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- beat_v1 makes a node a member or renews that, and says how things stand: the assignments when they are not those of the version that the node knows, and every member.
-- What is said of assignments is of one moment. A node that is new here makes that those are forgotten which were not heard of for long.
CREATE FUNCTION setpoint.beat_v1(p_node text, p_name text, p_version text, p_address text, p_trouble text, p_ttl interval, p_clock timestamptz, p_known bigint,
  OUT revision bigint, OUT version bigint, OUT a_shard int[], OUT a_node text[], OUT a_incarnation bigint[], OUT a_counter bigint[], OUT a_since timestamptz[],
  OUT n_id text[], OUT n_name text[], OUT n_version text[], OUT n_address text[], OUT n_trouble text[], OUT n_draining boolean[], OUT n_shards int[],
  OUT n_joined timestamptz[], OUT n_seen timestamptz[], OUT n_expires timestamptz[], OUT n_skew interval[], OUT lapse interval, OUT lapsed boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  now timestamptz := clock_timestamp();
  off interval := coalesce(p_clock - now, '0');
BEGIN
  UPDATE setpoint.node n SET name = p_name, version = p_version, address = p_address, trouble = p_trouble, seen = now, expires = now + p_ttl, skew = off WHERE n.id = p_node;
  IF NOT FOUND THEN
    INSERT INTO setpoint.node (id, name, version, address, trouble, joined, seen, expires, skew) VALUES (p_node, p_name, p_version, p_address, p_trouble, now, now, now + p_ttl, off)
      ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version, address = excluded.address, trouble = excluded.trouble,
        seen = excluded.seen, expires = excluded.expires, skew = excluded.skew;
    DELETE FROM setpoint.node n WHERE n.id IN (
      SELECT o.id FROM setpoint.node o WHERE greatest(o.seen, o.expires) < now - interval '7 days' FOR UPDATE SKIP LOCKED);
  END IF;
  now := clock_timestamp();
  WITH a AS MATERIALIZED (SELECT * FROM setpoint.assigned_v1()),
    n AS MATERIALIZED (
      SELECT k.*, k.expires > now AS member, EXISTS (SELECT 1 FROM setpoint.cordon c WHERE c.name = k.name) AS draining, coalesce(h.shards, 0)::int AS shards
        FROM setpoint.node k LEFT JOIN (SELECT a.node, count(*) AS shards FROM a GROUP BY a.node) h ON h.node = k.id
        WHERE k.expires > now OR h.shards > 0)
  SELECT c.revision, v.counter,
      x.a_shard, x.a_node, x.a_incarnation, x.a_counter, x.a_since,
      y.ids, y.names, y.versions, y.addresses, y.troubles, y.drainings, y.shards, y.joineds, y.seens, y.expireses, y.skews,
      (SELECT min(n.expires) - now FROM n WHERE n.member AND n.shards > 0 AND n.id <> p_node),
      EXISTS (SELECT 1 FROM a WHERE NOT EXISTS (SELECT 1 FROM n WHERE n.id = a.node AND n.member))
    INTO revision, version, a_shard, a_node, a_incarnation, a_counter, a_since,
      n_id, n_name, n_version, n_address, n_trouble, n_draining, n_shards, n_joined, n_seen, n_expires, n_skew, lapse, lapsed
    FROM setpoint.counter c, setpoint.lease v
      CROSS JOIN LATERAL (SELECT array_agg(a.shard ORDER BY a.shard) AS a_shard, array_agg(a.node ORDER BY a.shard) AS a_node, array_agg(a.incarnation ORDER BY a.shard) AS a_incarnation,
          array_agg(a.counter ORDER BY a.shard) AS a_counter, array_agg(a.since ORDER BY a.shard) AS a_since FROM a WHERE v.counter IS DISTINCT FROM p_known) x
      CROSS JOIN (SELECT array_agg(n.id ORDER BY n.id) AS ids, array_agg(n.name ORDER BY n.id) AS names, array_agg(n.version ORDER BY n.id) AS versions,
          array_agg(n.address ORDER BY n.id) AS addresses, array_agg(n.trouble ORDER BY n.id) AS troubles, array_agg(n.draining ORDER BY n.id) AS drainings,
          array_agg(n.shards ORDER BY n.id) AS shards, array_agg(n.joined ORDER BY n.id) AS joineds, array_agg(n.seen ORDER BY n.id) AS seens,
          array_agg(n.expires ORDER BY n.id) AS expireses, array_agg(n.skew ORDER BY n.id) AS skews FROM n WHERE n.member) y
    WHERE c.id = 1 AND v.scope = 'shards';
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- take_v1 assigns shards to a member, those that are nobody's or whose node is no member. It has the counter first: a commit under way is either judged by the old epochs, and not after
-- the revision, or refused. p_again says that the answer to the same question got lost: then what is the node's already was taken by it.
--
-- Programs that know version 6 at most work under the lease "plane", and all shards at once. While one of them has it, nobody takes a shard; when it is free it is taken for good, in the
-- name of "shards": its epoch rises, so that nothing of an old program is committed beside the new ones. Otherwise plane is who has it, until when.
CREATE FUNCTION setpoint.take_v1(p_node text, p_shards int[], p_again boolean,
  OUT member boolean, OUT plane text, OUT until timestamptz, OUT revision bigint, OUT shards int[], OUT incarnations bigint[], OUT counters bigint[], OUT times timestamptz[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  now timestamptz;
BEGIN
  PERFORM setpoint.lock_counter();
  PERFORM setpoint.lock_shards();
  SELECT c.revision INTO revision FROM setpoint.counter c WHERE c.id = 1;
  PERFORM 1 FROM setpoint.node n WHERE n.id = p_node AND n.expires > clock_timestamp() FOR UPDATE;
  member := FOUND;
  IF NOT member THEN
    RETURN;
  END IF;
  INSERT INTO setpoint.lease AS k (scope, holder, incarnation, counter, expires)
    SELECT 'plane', 'shards', m.incarnation, 1, clock_timestamp() + interval '100 years' FROM setpoint.meta m
    ON CONFLICT (scope) DO UPDATE SET holder = excluded.holder, incarnation = excluded.incarnation, expires = excluded.expires,
      counter = CASE WHEN k.incarnation = excluded.incarnation THEN k.counter + 1 ELSE 1 END
    WHERE k.holder = '' OR k.holder <> 'shards' AND k.expires < clock_timestamp();
  SELECT k.holder, k.expires INTO plane, until FROM setpoint.lease k WHERE k.scope = 'plane' AND k.holder <> 'shards';
  IF FOUND THEN
    RETURN;
  END IF;
  now := clock_timestamp();
  WITH taken AS (
    INSERT INTO setpoint.lease AS k (scope, holder, incarnation, counter, expires, since)
      SELECT 'shard/' || w.n, p_node, m.incarnation, 1, now + interval '100 years', now
        FROM setpoint.meta m, (SELECT DISTINCT n FROM unnest(p_shards) n) w WHERE w.n >= 0 AND w.n < m.shards
      ON CONFLICT (scope) DO UPDATE SET holder = excluded.holder, incarnation = excluded.incarnation, expires = excluded.expires, since = excluded.since,
        counter = CASE WHEN k.incarnation = excluded.incarnation THEN k.counter + 1 ELSE 1 END
      WHERE k.holder = '' OR k.incarnation <> excluded.incarnation OR NOT EXISTS (SELECT 1 FROM setpoint.node o WHERE o.id = k.holder AND o.expires > now)
      RETURNING substr(k.scope, 7)::int AS shard, k.incarnation, k.counter, k.since)
  SELECT array_agg(t.shard ORDER BY t.shard), array_agg(t.incarnation ORDER BY t.shard), array_agg(t.counter ORDER BY t.shard), array_agg(t.since ORDER BY t.shard)
    INTO shards, incarnations, counters, times FROM taken t;
  IF shards IS NOT NULL THEN
    PERFORM setpoint.moved_shards();
  END IF;
  IF p_again THEN
    SELECT array_agg(a.shard ORDER BY a.shard), array_agg(a.incarnation ORDER BY a.shard), array_agg(a.counter ORDER BY a.shard), array_agg(a.since ORDER BY a.shard) INTO shards, incarnations, counters, times
      FROM setpoint.assigned_v1() a WHERE a.node = p_node AND a.shard = ANY (p_shards);
  END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- give_v1 makes those of the assignments that are still so nobody's. Epochs stay, and the next ones are higher.
CREATE FUNCTION setpoint.give_v1(p_shards int[], p_nodes text[], p_incarnations bigint[], p_counters bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM setpoint.lock_shards();
  UPDATE setpoint.lease k SET holder = '', expires = '-infinity', since = clock_timestamp()
    FROM unnest(p_shards, p_nodes, p_incarnations, p_counters) w(shard, node, incarnation, counter)
    WHERE k.scope = 'shard/' || w.shard AND k.holder <> '' AND k.holder = w.node AND k.incarnation = w.incarnation AND k.counter = w.counter;
  IF FOUND THEN
    PERFORM setpoint.moved_shards();
  END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- leave_v1 ends a membership, and makes the node's shards nobody's.
CREATE FUNCTION setpoint.leave_v1(p_node text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM setpoint.lock_shards();
  UPDATE setpoint.node n SET expires = least(n.expires, clock_timestamp()) WHERE n.id = p_node;
  UPDATE setpoint.lease k SET holder = '', expires = '-infinity', since = clock_timestamp()
    WHERE k.scope >= 'shard/' AND k.scope < 'shard0' AND k.holder <> '' AND k.holder = p_node;
  IF FOUND THEN
    PERFORM setpoint.moved_shards();
  END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- cordon_v1 asks the nodes of a name to have no shards, or takes that back. It says whether such a node is known.
CREATE FUNCTION setpoint.cordon_v1(p_name text, p_drain boolean, OUT known boolean) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM setpoint.lock_shards();
  known := EXISTS (SELECT 1 FROM setpoint.node n WHERE n.name = p_name) OR EXISTS (SELECT 1 FROM setpoint.cordon c WHERE c.name = p_name);
  IF known AND p_drain THEN
    INSERT INTO setpoint.cordon (name) VALUES (p_name) ON CONFLICT DO NOTHING;
  ELSE
    DELETE FROM setpoint.cordon c WHERE c.name = p_name;
  END IF;
  IF FOUND THEN
    PERFORM setpoint.moved_shards();
  END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE 'REVOKE ALL ON setpoint.node, setpoint.cordon FROM PUBLIC';
  EXECUTE 'GRANT SELECT ON setpoint.node, setpoint.cordon TO setpoint_app, setpoint_read';
  EXECUTE 'REVOKE ALL ON FUNCTION setpoint.lock_shards, setpoint.moved_shards, setpoint.assigned_v1, setpoint.beat_v1, setpoint.take_v1, setpoint.give_v1, setpoint.leave_v1, setpoint.cordon_v1 FROM PUBLIC';
  EXECUTE 'GRANT EXECUTE ON FUNCTION setpoint.assigned_v1 TO setpoint_app, setpoint_read';
  EXECUTE 'GRANT EXECUTE ON FUNCTION setpoint.beat_v1, setpoint.take_v1, setpoint.give_v1, setpoint.leave_v1, setpoint.cordon_v1 TO setpoint_app';
END $$;
-- +goose StatementEnd
