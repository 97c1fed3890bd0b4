-- +goose Up
-- A node that leaves was heard of when it left: so who looks at it later can tell it from one that fell silent, whose membership went on after it was heard of last.

-- +goose StatementBegin
-- leave_v2 ends a membership, and makes the node's shards nobody's. Nodes of earlier versions go on with leave_v1.
CREATE FUNCTION setpoint.leave_v2(p_node text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  now timestamptz;
BEGIN
  PERFORM setpoint.lock_shards();
  now := clock_timestamp();
  UPDATE setpoint.node n SET seen = now, expires = now WHERE n.id = p_node AND n.expires > now;
  UPDATE setpoint.lease k SET holder = '', expires = '-infinity', since = clock_timestamp()
    WHERE k.scope >= 'shard/' AND k.scope < 'shard0' AND k.holder <> '' AND k.holder = p_node;
  IF FOUND THEN
    PERFORM setpoint.moved_shards();
  END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
BEGIN
  REVOKE ALL ON FUNCTION setpoint.leave_v2 FROM PUBLIC;
  GRANT EXECUTE ON FUNCTION setpoint.leave_v2 TO setpoint_app;
END $$;
-- +goose StatementEnd
