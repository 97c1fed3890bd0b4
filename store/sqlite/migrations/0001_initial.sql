-- The first schema. Rows are narrow and have an integer key plus UNIQUE: with rows of 1.5 KB, WITHOUT ROWID costs 2.8 times the CPU per write.
--
-- How the triggers tell the engine from a person with a shell: the engine inserts the feed row of a revision *before* it touches anything else,
-- and moves meta.revision last. While its transaction is open, feed.revision is ahead of meta.revision; at rest it never is. A person moves
-- meta.revision by one first, then writes objects at exactly that revision; triggers note those changes in foreign_change, and the engine
-- puts them into the feed and the history with its next group.
--
-- Messages of RAISE are literals, because older sqlite3 shells refuse a whole schema that has an expression there.

-- One row: what the database is and where it stands.
CREATE TABLE meta (
  id          INTEGER PRIMARY KEY CHECK (id = 1),
  database    TEXT    NOT NULL,                         -- identity, given at creation, kept by backups
  incarnation INTEGER NOT NULL CHECK (incarnation > 0), -- rises with a restore
  revision    INTEGER NOT NULL CHECK (revision >= 0),   -- the last commit
  compacted   INTEGER NOT NULL DEFAULT 0,               -- the feed is retained from compacted+1
  signals     INTEGER NOT NULL DEFAULT 0,               -- the last signal ID given; never reused
  settled     INTEGER NOT NULL DEFAULT 0,               -- counts the commits made only to settle a doubtful one
  shards      INTEGER NOT NULL,                         -- fixed at creation
  created     INTEGER NOT NULL                          -- nanoseconds since 1970, as all times here; 0 is "never"
) STRICT;

-- The rules of kinds. kind lists what is registered, state what an object of it may be in, transition where it may go.
CREATE TABLE kind (
  kind  TEXT PRIMARY KEY,
  rules TEXT NOT NULL      -- the whole table as JSON, to load it back and to compare it
) STRICT;
CREATE TABLE state (
  kind  TEXT NOT NULL REFERENCES kind (kind),
  state TEXT NOT NULL,
  UNIQUE (kind, state)     -- asked by object_insert: is this state known?
) STRICT;
CREATE TABLE transition (
  kind       TEXT NOT NULL REFERENCES kind (kind),
  from_state TEXT NOT NULL,
  to_state   TEXT NOT NULL,
  UNIQUE (kind, from_state, to_state) -- asked by object_transition
) STRICT;

CREATE TABLE object (
  id          INTEGER PRIMARY KEY,
  kind        TEXT    NOT NULL,
  namespace   TEXT    NOT NULL,
  name        TEXT    NOT NULL,
  uid         TEXT    NOT NULL CHECK (uid <> ''),
  shard       INTEGER NOT NULL,
  generation  INTEGER NOT NULL CHECK (generation >= 0),
  revision    INTEGER NOT NULL,
  created     INTEGER NOT NULL,
  deleted     INTEGER NOT NULL DEFAULT 0,
  state       TEXT    NOT NULL DEFAULT '',
  state_since INTEGER NOT NULL DEFAULT 0,
  attributes  TEXT    NOT NULL DEFAULT '{}',
  spec        TEXT,
  status      TEXT,
  UNIQUE (kind, namespace, name), -- every read and write by key; its prefix finds the objects of a kind
  UNIQUE (uid)                    -- commands, signals and timers hang on the UID: it must mean one object
) STRICT;

-- One row per commit: everything it changed, as the feed delivers it. Watch reads ranges of the primary key.
CREATE TABLE feed (
  revision     INTEGER PRIMARY KEY,
  at           INTEGER NOT NULL,
  first_signal INTEGER NOT NULL, -- the ID of the first signal raised; the others follow it
  body         BLOB    NOT NULL  -- store/internal/codec
) STRICT;

-- Commits of others than the engine, noted by triggers until the engine has put them into the feed.
CREATE TABLE foreign_change (
  id          INTEGER PRIMARY KEY, -- the order of the changes
  revision    INTEGER NOT NULL,
  object      INTEGER NOT NULL,
  created     INTEGER NOT NULL,    -- 1 for an insert
  from_state  TEXT    NOT NULL,
  at          INTEGER NOT NULL,
  generation  INTEGER NOT NULL,    -- what follows is the row as that commit left it
  deleted     INTEGER NOT NULL,
  state       TEXT    NOT NULL,
  state_since INTEGER NOT NULL,
  attributes  TEXT    NOT NULL,
  spec        TEXT,
  status      TEXT
) STRICT;

-- Append-only. The index is on a hash of the key, because a full key in an index costs as much as the row itself; collisions
-- are sorted out by comparing the key. The order of id is the order of the commits.
CREATE TABLE history (
  id             INTEGER PRIMARY KEY,
  hash           INTEGER NOT NULL,
  kind           TEXT    NOT NULL,
  namespace      TEXT    NOT NULL,
  name           TEXT    NOT NULL,
  uid            TEXT    NOT NULL,
  revision       INTEGER NOT NULL,
  at             INTEGER NOT NULL,
  type           TEXT    NOT NULL,
  from_state     TEXT    NOT NULL,
  to_state       TEXT    NOT NULL,
  severity       TEXT    NOT NULL, -- of an event: Normal or Warning
  reason         TEXT    NOT NULL,
  message        TEXT    NOT NULL,
  writer         TEXT    NOT NULL,
  writer_object  TEXT    NOT NULL, -- "kind/namespace/name" (always two slashes), or ''
  cause_revision INTEGER NOT NULL,
  cause          TEXT    NOT NULL
) STRICT;
CREATE INDEX history_by_object ON history (hash); -- History of one key; entries of one hash come in the order of id

CREATE TABLE command (
  id        INTEGER PRIMARY KEY,
  owner     TEXT    NOT NULL, -- UID of the object
  adapter   TEXT    NOT NULL,
  key       TEXT    NOT NULL,
  kind      TEXT    NOT NULL,
  namespace TEXT    NOT NULL,
  name      TEXT    NOT NULL,
  revision  INTEGER NOT NULL,
  phase     TEXT    NOT NULL,
  intent    INTEGER NOT NULL,
  token     TEXT    NOT NULL,
  body      BLOB    NOT NULL,      -- the whole command, store/internal/codec
  UNIQUE (owner, adapter, key)     -- the slot; its prefix finds the commands that go with their owner
) STRICT;

CREATE TABLE signal (
  id        INTEGER PRIMARY KEY,   -- from meta.signals
  kind      TEXT    NOT NULL,
  namespace TEXT    NOT NULL,
  name      TEXT    NOT NULL,
  uid       TEXT    NOT NULL,
  signal    TEXT    NOT NULL,
  payload   TEXT,
  by_whom   TEXT    NOT NULL,
  at        INTEGER NOT NULL,
  revision  INTEGER NOT NULL
) STRICT;
CREATE INDEX signal_by_object ON signal (uid); -- the signals that go with their object

CREATE TABLE timer (
  id         INTEGER PRIMARY KEY,
  uid        TEXT    NOT NULL,
  controller TEXT    NOT NULL,
  kind       TEXT    NOT NULL,
  namespace  TEXT    NOT NULL,
  name       TEXT    NOT NULL,
  due        INTEGER NOT NULL,
  code       TEXT    NOT NULL,
  revision   INTEGER NOT NULL,
  UNIQUE (uid, controller)         -- one per controller and object; its prefix finds those that go with their object
) STRICT;

-- Who holds what. Rows stay for ever, so that counters cannot start again.
CREATE TABLE lease (
  scope       TEXT PRIMARY KEY,
  holder      TEXT    NOT NULL,    -- '' when nobody has it
  incarnation INTEGER NOT NULL,
  counter     INTEGER NOT NULL,
  expires     INTEGER NOT NULL     -- as of the last change of holder; renewals are kept in memory, and die with the process as the lease does
) STRICT;

-- meta -------------------------------------------------------------------------------------------------------------------------------------

CREATE TRIGGER meta_revision BEFORE UPDATE OF revision ON meta
WHEN NEW.revision <> OLD.revision AND NEW.revision <> OLD.revision + 1
BEGIN
  SELECT RAISE(ABORT, 'setpoint: meta.revision moves by exactly one per commit: UPDATE meta SET revision = revision + 1')
  WHERE NEW.revision < OLD.revision OR NEW.revision IS NOT (SELECT max(revision) FROM feed);
END;
CREATE TRIGGER meta_identity BEFORE UPDATE OF id, database, incarnation, compacted, signals, shards, created ON meta
BEGIN
  SELECT RAISE(ABORT, 'setpoint: the identity of a database does not change, and its incarnation and counters only rise; to restore a backup use `setpoint restore`')
  WHERE NEW.id <> OLD.id OR NEW.database <> OLD.database OR NEW.shards <> OLD.shards OR NEW.created <> OLD.created
     OR NEW.incarnation < OLD.incarnation OR NEW.signals < OLD.signals OR NEW.compacted < OLD.compacted OR NEW.compacted > NEW.revision;
END;
CREATE TRIGGER meta_delete BEFORE DELETE ON meta
BEGIN
  SELECT RAISE(ABORT, 'setpoint: the row of meta is the identity of this database and cannot be deleted');
END;

-- object -----------------------------------------------------------------------------------------------------------------------------------

CREATE TRIGGER object_insert BEFORE INSERT ON object
BEGIN
  SELECT RAISE(ABORT, 'setpoint: a new object carries the revision of its commit: first UPDATE meta SET revision = revision + 1, then insert with revision = (SELECT revision FROM meta)')
  WHERE NEW.revision <> (SELECT revision FROM meta) AND NOT EXISTS (SELECT 1 FROM feed WHERE revision = NEW.revision AND revision > (SELECT revision FROM meta));
  SELECT RAISE(ABORT, 'setpoint: this state is not in the table of the kind: SELECT state FROM state WHERE kind = ...')
  WHERE EXISTS (SELECT 1 FROM kind WHERE kind = NEW.kind) AND NOT EXISTS (SELECT 1 FROM state WHERE kind = NEW.kind AND state = NEW.state);
END;
CREATE TRIGGER object_identity BEFORE UPDATE OF id, kind, namespace, name, uid, shard, created ON object
WHEN NEW.id <> OLD.id OR NEW.kind <> OLD.kind OR NEW.namespace <> OLD.namespace OR NEW.name <> OLD.name
  OR NEW.uid <> OLD.uid OR NEW.shard <> OLD.shard OR NEW.created <> OLD.created
BEGIN
  SELECT RAISE(ABORT, 'setpoint: id, kind, namespace, name, uid, shard and created of an object never change; create another object instead');
END;
-- A version that does not move by one commit. An update that leaves revision alone fails the first comparison.
CREATE TRIGGER object_version BEFORE UPDATE ON object
BEGIN
  SELECT RAISE(ABORT, 'setpoint: every write moves the version: first UPDATE meta SET revision = revision + 1, then set revision = (SELECT revision FROM meta) with the change')
  WHERE NEW.revision <= OLD.revision OR NEW.revision < (SELECT revision FROM meta)
     OR (NEW.revision > (SELECT revision FROM meta) AND NOT EXISTS (SELECT 1 FROM feed WHERE revision = NEW.revision));
  SELECT RAISE(ABORT, 'setpoint: generation only rises')
  WHERE NEW.generation < OLD.generation;
  SELECT RAISE(ABORT, 'setpoint: deletion is never taken back')
  WHERE OLD.deleted <> 0 AND NEW.deleted <> OLD.deleted;
END;
CREATE TRIGGER object_transition BEFORE UPDATE OF state ON object
WHEN NEW.state <> OLD.state
BEGIN
  SELECT RAISE(ABORT, 'setpoint: this transition is not allowed: SELECT to_state FROM transition WHERE kind = ... AND from_state = ...')
  WHERE EXISTS (SELECT 1 FROM kind WHERE kind = NEW.kind)
    AND NOT EXISTS (SELECT 1 FROM transition WHERE kind = NEW.kind AND from_state = OLD.state AND to_state = NEW.state);
END;
-- The engine checks its JSON before it asks; of others it is checked here, and noted for the feed. One look at meta is what the engine pays.
CREATE TRIGGER object_foreign_update AFTER UPDATE ON object
WHEN NEW.revision = (SELECT revision FROM meta)
BEGIN
  SELECT RAISE(ABORT, 'setpoint: attributes, spec and status must be JSON')
  WHERE NOT json_valid(NEW.attributes) OR NOT json_valid(coalesce(NEW.spec, '{}')) OR NOT json_valid(coalesce(NEW.status, '{}'));
  SELECT RAISE(ABORT, 'setpoint: this would leave a deleted object that nothing holds; delete it with `setpoint delete`')
  WHERE NEW.deleted <> 0 AND coalesce(json_array_length(NEW.attributes, '$.finalizers'), 0) = 0;
  INSERT INTO foreign_change (revision, object, created, from_state, at, generation, deleted, state, state_since, attributes, spec, status)
  VALUES (NEW.revision, NEW.id, 0, OLD.state, CAST(strftime('%s', 'now') AS INTEGER) * 1000000000,
          NEW.generation, NEW.deleted, NEW.state, NEW.state_since, NEW.attributes, NEW.spec, NEW.status);
END;
CREATE TRIGGER object_foreign_insert AFTER INSERT ON object
WHEN NEW.revision = (SELECT revision FROM meta)
BEGIN
  SELECT RAISE(ABORT, 'setpoint: attributes, spec and status must be JSON')
  WHERE NOT json_valid(NEW.attributes) OR NOT json_valid(coalesce(NEW.spec, '{}')) OR NOT json_valid(coalesce(NEW.status, '{}'));
  SELECT RAISE(ABORT, 'setpoint: a new object has generation 1, a time of creation, and is not deleted')
  WHERE NEW.deleted <> 0 OR NEW.generation < 1 OR NEW.created <= 0;
  INSERT INTO foreign_change (revision, object, created, from_state, at, generation, deleted, state, state_since, attributes, spec, status)
  VALUES (NEW.revision, NEW.id, 1, '', CAST(strftime('%s', 'now') AS INTEGER) * 1000000000,
          NEW.generation, NEW.deleted, NEW.state, NEW.state_since, NEW.attributes, NEW.spec, NEW.status);
END;
CREATE TRIGGER object_delete BEFORE DELETE ON object
BEGIN
  SELECT RAISE(ABORT, 'setpoint: objects are removed by the engine, with what hangs on them and an entry in their history; delete it with `setpoint delete`')
  WHERE coalesce((SELECT max(revision) FROM feed), 0) <= (SELECT revision FROM meta);
END;

-- What only the engine writes -----------------------------------------------------------------------------------------------------------------

CREATE TRIGGER command_insert BEFORE INSERT ON command WHEN NEW.revision <= (SELECT revision FROM meta)
BEGIN SELECT RAISE(ABORT, 'setpoint: commands are written by the engine only; to make it act, change the spec or raise a signal'); END;
CREATE TRIGGER command_update BEFORE UPDATE ON command WHEN NEW.revision <= (SELECT revision FROM meta)
BEGIN SELECT RAISE(ABORT, 'setpoint: commands are written by the engine only; to retry or abandon one, raise a signal'); END;
CREATE TRIGGER command_delete BEFORE DELETE ON command
BEGIN
  SELECT RAISE(ABORT, 'setpoint: commands are removed by the engine only; to abandon one, raise a signal')
  WHERE coalesce((SELECT max(revision) FROM feed), 0) <= (SELECT revision FROM meta);
END;
CREATE TRIGGER signal_insert BEFORE INSERT ON signal WHEN NEW.revision <= (SELECT revision FROM meta)
BEGIN SELECT RAISE(ABORT, 'setpoint: signals are written by the engine only; raise one with `setpoint signal`'); END;
CREATE TRIGGER signal_update BEFORE UPDATE ON signal
BEGIN SELECT RAISE(ABORT, 'setpoint: signals never change; raise another one with `setpoint signal`'); END;
CREATE TRIGGER signal_delete BEFORE DELETE ON signal
BEGIN
  SELECT RAISE(ABORT, 'setpoint: signals are consumed by the engine only')
  WHERE coalesce((SELECT max(revision) FROM feed), 0) <= (SELECT revision FROM meta);
END;
CREATE TRIGGER timer_insert BEFORE INSERT ON timer WHEN NEW.revision <= (SELECT revision FROM meta)
BEGIN SELECT RAISE(ABORT, 'setpoint: timers are written by the engine only; to wake a controller, raise a signal'); END;
CREATE TRIGGER timer_update BEFORE UPDATE ON timer WHEN NEW.revision <= (SELECT revision FROM meta)
BEGIN SELECT RAISE(ABORT, 'setpoint: timers are written by the engine only; to wake a controller, raise a signal'); END;
CREATE TRIGGER timer_delete BEFORE DELETE ON timer
BEGIN
  SELECT RAISE(ABORT, 'setpoint: timers are cleared by the engine only; to wake a controller, raise a signal')
  WHERE coalesce((SELECT max(revision) FROM feed), 0) <= (SELECT revision FROM meta);
END;
CREATE TRIGGER feed_update BEFORE UPDATE ON feed
BEGIN SELECT RAISE(ABORT, 'setpoint: the feed is what was; it does not change'); END;
CREATE TRIGGER feed_delete BEFORE DELETE ON feed
WHEN OLD.revision > (SELECT compacted FROM meta) AND OLD.revision <= (SELECT revision FROM meta)
BEGIN SELECT RAISE(ABORT, 'setpoint: the feed is forgotten from its old end, by `setpoint compact`'); END;
CREATE TRIGGER history_update BEFORE UPDATE ON history
BEGIN SELECT RAISE(ABORT, 'setpoint: history does not change'); END;

CREATE TRIGGER lease_insert BEFORE INSERT ON lease
WHEN NEW.incarnation > (SELECT incarnation FROM meta) OR NEW.counter < 1
BEGIN SELECT RAISE(ABORT, 'setpoint: a lease belongs to an incarnation that exists, and counts from 1'); END;
CREATE TRIGGER lease_epoch BEFORE UPDATE ON lease
BEGIN
  SELECT RAISE(ABORT, 'setpoint: epochs never fall, and every change of holder raises them: SET holder = ..., counter = counter + 1')
  WHERE NEW.scope <> OLD.scope OR NEW.incarnation < OLD.incarnation OR NEW.incarnation > (SELECT incarnation FROM meta)
     OR (NEW.incarnation = OLD.incarnation AND NEW.counter < OLD.counter)
     OR (NEW.holder <> OLD.holder AND NEW.holder <> '' AND NEW.incarnation = OLD.incarnation AND NEW.counter = OLD.counter);
END;
CREATE TRIGGER lease_delete BEFORE DELETE ON lease
BEGIN SELECT RAISE(ABORT, 'setpoint: a lease row holds the epoch that must not start again; to free a lease: UPDATE lease SET holder = '''', expires = 0'); END;
