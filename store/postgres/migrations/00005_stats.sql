-- +goose Up
-- How the database stands, for those who watch it: what vacuuming has left, who keeps it from more, and how far the partitions reach. It is asked now and then, and waits for
-- nobody: the size of a table that is being dropped makes it fail, and it is asked again later. The owner sees other roles' transactions because the guard has granted it
-- pg_read_all_stats; without that they do not count.

-- +goose StatementBegin
CREATE FUNCTION setpoint.stats_v1(OUT names text[], OUT partitions bigint[], OUT live bigint[], OUT dead bigint[], OUT bytes bigint[],
  OUT oldest interval, OUT waiting int, OUT proposals int, OUT feed_ahead bigint, OUT history_ahead interval)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
BEGIN
  SELECT array_agg(t.name ORDER BY t.name), array_agg(t.partitions ORDER BY t.name), array_agg(t.live ORDER BY t.name), array_agg(t.dead ORDER BY t.name), array_agg(t.bytes ORDER BY t.name)
    INTO names, partitions, live, dead, bytes
    FROM (
      SELECT coalesce(p.relname, c.relname)::text AS name, count(i.inhrelid) AS partitions, sum(coalesce(s.n_live_tup, 0))::bigint AS live,
             sum(coalesce(s.n_dead_tup, 0))::bigint AS dead, sum(coalesce(pg_total_relation_size(c.oid), 0))::bigint AS bytes
        FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
        WHERE c.relnamespace = 'setpoint'::regnamespace AND c.relkind IN ('r', 'p')
        GROUP BY 1) t;
  SELECT max(clock_timestamp() - x.since) INTO oldest
    FROM (SELECT a.xact_start FROM pg_stat_activity a WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()
          UNION ALL SELECT pr.prepared FROM pg_prepared_xacts pr) x(since);
  SELECT count(*) INTO waiting FROM pg_stat_activity a WHERE a.datname = current_database() AND a.wait_event_type = 'Lock';
  SELECT count(*) INTO proposals FROM setpoint.proposal p WHERE p.admitted IS NULL;
  SELECT coalesce(max(b.till::bigint), k.revision + 1) - k.revision - 1 INTO feed_ahead
    FROM setpoint.counter k LEFT JOIN (
      SELECT (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''?([^'')]*)''?\)'))[1] AS till
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'setpoint.feed'::regclass) b ON b.till IS NOT NULL
    GROUP BY k.revision;
  SELECT max((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''?([^'')]*)''?\)'))[1]::timestamptz) - clock_timestamp() INTO history_ahead
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'setpoint.history'::regclass;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE 'REVOKE ALL ON FUNCTION setpoint.stats_v1() FROM PUBLIC';
  EXECUTE 'GRANT EXECUTE ON FUNCTION setpoint.stats_v1() TO setpoint_app, setpoint_read';
END $$;
-- +goose StatementEnd
