-- +goose Up
-- The first schema. It runs as the role setpoint_owner, which owns everything here. The application role owns nothing and writes no table: it calls
-- functions, which judge and write with the rights of their owner. What the functions promise, triggers check again, for every writer and in every
-- replication role; a superuser can switch them off, and the documentation says so.
--
-- Times of objects are nanoseconds since 1970 (0 is "never"), as they were given; times that the database itself gives are timestamptz.

-- One row: what the database is. It changes with a restore only.
CREATE TABLE setpoint.meta (
  id          int    PRIMARY KEY CHECK (id = 1),
  database    text   NOT NULL,
  incarnation bigint NOT NULL CHECK (incarnation > 0),
  shards      int    NOT NULL,
  understood  int    NOT NULL DEFAULT 1, -- a program has to know the schema up to this version at least
  created     timestamptz NOT NULL DEFAULT now()
);

-- One row: where the database stands. Whoever commits locks it first, and moves it once per group. transaction is the one that moved it last, first and
-- revision the commits that it made: by this a trigger knows that a write belongs to a commit under way. The page holds many versions of the
-- one row, so that it is never moved to another one.
CREATE TABLE setpoint.counter (
  id          int    PRIMARY KEY CHECK (id = 1),
  revision    bigint NOT NULL CHECK (revision >= 0),
  first       bigint NOT NULL,
  transaction xid8   NOT NULL,
  signals     bigint NOT NULL,      -- the last signal ID given; never reused
  at          timestamptz NOT NULL, -- of the last commit; it never goes back
  compacted   bigint NOT NULL       -- the feed is retained from compacted+1
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

-- Who commits. A process has one row; its epoch rises when an answer got lost, so that what was not committed by then never will be. The id is random: a number that
-- was given by a server whose last commits got lost, must not be given again by its successor while the first one to have it lives.
CREATE TABLE setpoint.committer (
  id    bigint PRIMARY KEY,
  name  text   NOT NULL,
  epoch bigint NOT NULL DEFAULT 1,
  since timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The rules of kinds: what is registered, which states there are, and where each may go.
CREATE TABLE setpoint.kind (
  kind  text COLLATE "C" PRIMARY KEY,
  rules text NOT NULL  -- the table as JSON, to compare it
);
CREATE TABLE setpoint.state (
  kind  text COLLATE "C" NOT NULL REFERENCES setpoint.kind,
  state text COLLATE "C" NOT NULL,
  PRIMARY KEY (kind, state)
);
CREATE TABLE setpoint.transition (
  kind       text COLLATE "C" NOT NULL REFERENCES setpoint.kind,
  from_state text COLLATE "C" NOT NULL,
  to_state   text COLLATE "C" NOT NULL,
  PRIMARY KEY (kind, from_state, to_state)
);

-- No index has a column that changes, and pages keep room: an update stays on its page and touches no index.
CREATE TABLE setpoint.object (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind        text COLLATE "C" NOT NULL,
  namespace   text COLLATE "C" NOT NULL,
  name        text COLLATE "C" NOT NULL,
  uid         text COLLATE "C" NOT NULL CHECK (uid <> ''),
  shard       smallint NOT NULL,
  generation  bigint NOT NULL CHECK (generation >= 0),
  revision    bigint NOT NULL,
  created     bigint NOT NULL,
  deleted     bigint NOT NULL DEFAULT 0,
  state       text COLLATE "C" NOT NULL DEFAULT '',
  state_since bigint NOT NULL DEFAULT 0,
  attributes  text NOT NULL DEFAULT '{}',
  spec        text,
  status      text,
  CONSTRAINT object_key UNIQUE (kind, namespace, name),
  CONSTRAINT object_uid UNIQUE (uid)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 1);

CREATE TABLE setpoint.command (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  owner     text COLLATE "C" NOT NULL, -- UID of the object
  adapter   text COLLATE "C" NOT NULL,
  key       text COLLATE "C" NOT NULL,
  revision  bigint NOT NULL,
  phase     text COLLATE "C" NOT NULL,
  intent    bigint NOT NULL,
  token     text NOT NULL,
  body      bytea NOT NULL,            -- the whole command, store/internal/codec
  CONSTRAINT command_slot UNIQUE (owner, adapter, key)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 1);

CREATE TABLE setpoint.signal (
  id        bigint PRIMARY KEY,        -- from counter.signals
  kind      text COLLATE "C" NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  name      text COLLATE "C" NOT NULL,
  uid       text COLLATE "C" NOT NULL,
  signal    text NOT NULL,
  payload   text,
  by_whom   text NOT NULL,
  at        bigint NOT NULL,
  revision  bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000);
CREATE INDEX signal_by_object ON setpoint.signal (uid);

CREATE TABLE setpoint.timer (
  uid        text COLLATE "C" NOT NULL,
  controller text COLLATE "C" NOT NULL,
  kind       text COLLATE "C" NOT NULL,
  namespace  text COLLATE "C" NOT NULL,
  name       text COLLATE "C" NOT NULL,
  due        bigint NOT NULL,
  code       text NOT NULL,
  revision   bigint NOT NULL,
  PRIMARY KEY (uid, controller)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000);

-- One row per commit, as the feed delivers it. Partitions are dropped from the old end.
CREATE TABLE setpoint.feed (
  revision     bigint NOT NULL,
  at           timestamptz NOT NULL,
  first_signal bigint NOT NULL,  -- the ID of the first signal raised; the others follow it
  committer    bigint NOT NULL,
  member       bigint NOT NULL,  -- the committer's number of the transaction, by which it finds a commit whose answer got lost
  body         bytea  NOT NULL,  -- store/internal/codec
  gone         json,             -- what went with the objects that this commit removed
  PRIMARY KEY (revision)
) PARTITION BY RANGE (revision);
CREATE TABLE setpoint.feed_rest PARTITION OF setpoint.feed DEFAULT;

-- What happened to objects. The index is on a hash of the key, given by the engine; collisions are sorted out by comparing the key.
CREATE TABLE setpoint.history (
  at             timestamptz NOT NULL,
  hash           bigint NOT NULL,
  revision       bigint NOT NULL,
  line           int    NOT NULL,  -- the order within a commit
  kind           text COLLATE "C" NOT NULL,
  namespace      text COLLATE "C" NOT NULL,
  name           text COLLATE "C" NOT NULL,
  uid            text COLLATE "C" NOT NULL,
  type           text NOT NULL,
  from_state     text NOT NULL,
  to_state       text NOT NULL,
  severity       text NOT NULL,
  reason         text NOT NULL,
  message        text NOT NULL,
  writer         text NOT NULL,
  writer_object  text NOT NULL,    -- "kind/namespace/name" (always two slashes), or ''
  cause_revision bigint NOT NULL,
  cause          text NOT NULL
) PARTITION BY RANGE (at);
CREATE INDEX history_by_object ON setpoint.history (hash, revision);
CREATE TABLE setpoint.history_rest PARTITION OF setpoint.history DEFAULT;

-- One row: history before this time is forgotten, and may be deleted.
CREATE TABLE setpoint.retention (
  id      int PRIMARY KEY CHECK (id = 1),
  history timestamptz NOT NULL
);

-- Who holds what. Rows stay for ever, so that counters cannot start again.
CREATE TABLE setpoint.lease (
  scope       text COLLATE "C" PRIMARY KEY,
  holder      text   NOT NULL,     -- '' when nobody has it
  incarnation bigint NOT NULL,
  counter     bigint NOT NULL,
  expires     timestamptz NOT NULL
) WITH (fillfactor = 30, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

INSERT INTO setpoint.meta (id, database, incarnation, shards) VALUES (1, gen_random_uuid()::text, 1, 256);
INSERT INTO setpoint.counter (id, revision, first, transaction, signals, at, compacted) VALUES (1, 0, 1, '0', 0, clock_timestamp(), 0);
INSERT INTO setpoint.retention (id, history) VALUES (1, '-infinity');
