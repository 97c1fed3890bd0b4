-- +goose Up
-- The take-up of what nodes have gained can be paused. A pause is a request, as a cordon is: nothing that is safe rests on it, so there is no trigger, and the owner can make this step
-- where a superuser has set the guard. A program that knows version 7 works beside newer ones, and pauses nothing.

-- At most one row. It stays when its time has passed, and means nothing then.
CREATE TABLE setpoint.pause (
  id      int PRIMARY KEY CHECK (id = 1),
  by_whom text NOT NULL CHECK (by_whom <> ''),
  since   timestamptz NOT NULL,
  until   timestamptz NOT NULL CHECK (until > since AND isfinite(until))
);

-- +goose StatementBegin
-- paused_v1 is the pause: one row, or none. It looks when it is called, not when the statement began: so who joins it to a beat, and gives it the version of that, learns of no
-- pause that is older. It does nothing else with that.
CREATE FUNCTION setpoint.paused_v1(p_after bigint) RETURNS TABLE (by_whom text, since timestamptz, until timestamptz, remaining interval)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  now timestamptz := clock_timestamp();
BEGIN
  RETURN QUERY SELECT p.by_whom, p.since, p.until, p.until - now FROM setpoint.pause p WHERE p.until > now;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- pause_v1 pauses for a time from now, or ends the pause when that is none; everybody is told. A pause that is made longer has been one since it began.
CREATE FUNCTION setpoint.pause_v1(p_by text, p_length interval) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  now timestamptz;
  on_now boolean;
BEGIN
  PERFORM setpoint.lock_shards();
  now := clock_timestamp();
  on_now := EXISTS (SELECT 1 FROM setpoint.pause p WHERE p.until > now);
  IF p_length > '0' THEN
    INSERT INTO setpoint.pause AS p (id, by_whom, since, until) VALUES (1, p_by, now, now + p_length)
      ON CONFLICT (id) DO UPDATE SET by_whom = excluded.by_whom, until = excluded.until, since = CASE WHEN p.until > now THEN least(p.since, now) ELSE now END;
  ELSE
    DELETE FROM setpoint.pause;
  END IF;
  IF on_now OR p_length > '0' THEN
    PERFORM setpoint.moved_shards();
  END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE 'REVOKE ALL ON setpoint.pause FROM PUBLIC';
  EXECUTE 'GRANT SELECT ON setpoint.pause TO setpoint_app, setpoint_read';
  EXECUTE 'REVOKE ALL ON FUNCTION setpoint.paused_v1, setpoint.pause_v1 FROM PUBLIC';
  EXECUTE 'GRANT EXECUTE ON FUNCTION setpoint.paused_v1 TO setpoint_app, setpoint_read';
  EXECUTE 'GRANT EXECUTE ON FUNCTION setpoint.pause_v1 TO setpoint_app';
END $$;
-- +goose StatementEnd
