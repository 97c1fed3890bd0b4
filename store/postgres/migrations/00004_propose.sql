-- +goose Up
-- The door for people with a prompt. What SQL cannot judge (schemas, rules in Go) is judged by a server: a proposal waits in a table, a server admits or refuses
-- it like any request, and writes down the verdict.

CREATE TABLE setpoint.proposal (
  id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key      text NOT NULL,        -- kind/namespace/name
  expected bigint NOT NULL,      -- the revision the patch was made for
  patch    text NOT NULL,        -- a JSON merge patch of the object as the API shows it
  by_whom  text NOT NULL DEFAULT session_user,
  at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  admitted boolean,              -- NULL until it is judged
  revision bigint,               -- of the commit that it became
  verdict  text,                 -- in words
  judged   timestamptz
);
CREATE INDEX proposal_waiting ON setpoint.proposal (id) WHERE admitted IS NULL;

-- +goose StatementBegin
CREATE FUNCTION setpoint.propose(key text, expected_revision bigint, patch json) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  number bigint;
BEGIN
  IF key IS NULL OR key !~ '^[^/]+/[^/]*/[^/]+$' THEN
    RAISE EXCEPTION 'setpoint: "%" is no key; it has the form kind/namespace/name, as in setpoint.object', key USING ERRCODE = 'SP002';
  END IF;
  IF expected_revision IS NULL OR expected_revision < 1 THEN
    RAISE EXCEPTION 'setpoint: % is no revision; state the one that the change was made for, as in setpoint.object', expected_revision USING ERRCODE = 'SP002';
  END IF;
  IF json_typeof(patch) IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION 'setpoint: the patch is a JSON object, as {"spec": {"size": 3}}' USING ERRCODE = 'SP002';
  END IF;
  IF octet_length(patch::text) > 1048576 THEN
    RAISE EXCEPTION 'setpoint: the patch has % bytes, the limit is 1048576', octet_length(patch::text) USING ERRCODE = 'SP002';
  END IF;
  IF (SELECT count(*) FROM (SELECT 1 FROM setpoint.proposal p WHERE p.admitted IS NULL LIMIT 1000) w) >= 1000 THEN
    RAISE EXCEPTION 'setpoint: 1000 proposals wait already; is a server running?' USING ERRCODE = 'SP002';
  END IF;
  INSERT INTO setpoint.proposal (key, expected, patch) VALUES (propose.key, expected_revision, propose.patch::text) RETURNING id INTO number;
  -- What was judged long ago is forgotten.
  DELETE FROM setpoint.proposal p WHERE p.id <= number - 10000 AND p.admitted IS NOT NULL;
  PERFORM pg_notify('setpoint_proposal', number::text);
  RETURN number;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION setpoint.judge_v1(p_id bigint, p_admitted boolean, p_revision bigint, p_verdict text) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  UPDATE setpoint.proposal SET admitted = p_admitted, revision = p_revision, verdict = p_verdict, judged = clock_timestamp() WHERE id = p_id AND admitted IS NULL
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- guard_proposal: a proposal is made in one's own name, judged once, and does not change.
CREATE FUNCTION setpoint.guard_proposal() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' AND NEW.by_whom = session_user AND NEW.admitted IS NULL THEN
    RETURN NEW;
  END IF;
  IF TG_OP = 'UPDATE' AND OLD.admitted IS NULL AND (NEW.id, NEW.key, NEW.expected, NEW.patch, NEW.by_whom, NEW.at) = (OLD.id, OLD.key, OLD.expected, OLD.patch, OLD.by_whom, OLD.at) THEN
    RETURN NEW;
  END IF;
  IF TG_OP = 'DELETE' AND OLD.admitted IS NOT NULL THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'setpoint: a proposal is made in one''s own name, judged once, and does not change' USING ERRCODE = 'SP003';
END $$;
-- +goose StatementEnd
CREATE TRIGGER guard_write BEFORE INSERT OR UPDATE OR DELETE ON setpoint.proposal FOR EACH ROW EXECUTE FUNCTION setpoint.guard_proposal();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON setpoint.proposal FOR EACH STATEMENT EXECUTE FUNCTION setpoint.guard_never();
ALTER TABLE setpoint.proposal ENABLE ALWAYS TRIGGER guard_write, ENABLE ALWAYS TRIGGER guard_truncate;

-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE 'REVOKE ALL ON setpoint.proposal FROM PUBLIC';
  EXECUTE 'GRANT SELECT ON setpoint.proposal TO setpoint_app, setpoint_read';
  EXECUTE 'REVOKE ALL ON FUNCTION setpoint.propose(text, bigint, json), setpoint.judge_v1(bigint, boolean, bigint, text), setpoint.guard_proposal() FROM PUBLIC';
  EXECUTE 'GRANT EXECUTE ON FUNCTION setpoint.propose(text, bigint, json), setpoint.judge_v1(bigint, boolean, bigint, text) TO setpoint_app';
END $$;
-- +goose StatementEnd
