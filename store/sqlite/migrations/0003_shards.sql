-- The work of the database divided among nodes. A shard's assignment is a row of lease, "shard/17", whose holder is a node's ID and whose expires means nothing: so the
-- fences of commits need to know nothing new.

ALTER TABLE lease ADD COLUMN since INTEGER NOT NULL DEFAULT 0; -- when the holder changed; 0 for what an older program wrote

-- One row: rises with every change of assignments and cordons, whoever makes it. The triggers below see to that.
CREATE TABLE division (
  id      INTEGER PRIMARY KEY CHECK (id = 1),
  version INTEGER NOT NULL
) STRICT;
INSERT INTO division (id, version) VALUES (1, 1);

-- One row per run of a process, as of its first beat; renewals are kept in memory, and die with the process as its membership does. There are few, and they are read whole.
CREATE TABLE node (
  id      TEXT PRIMARY KEY,
  name    TEXT    NOT NULL,
  version TEXT    NOT NULL,
  address TEXT    NOT NULL,
  joined  INTEGER NOT NULL,
  seen    INTEGER NOT NULL
) STRICT;

-- Names of nodes that are to have no shards.
CREATE TABLE cordon (
  name  TEXT PRIMARY KEY CHECK (name <> ''),
  since INTEGER NOT NULL
) STRICT;

CREATE TRIGGER lease_insert_moves AFTER INSERT ON lease WHEN NEW.scope GLOB 'shard/*' AND NEW.holder <> ''
BEGIN UPDATE division SET version = version + 1; END;
CREATE TRIGGER lease_update_moves AFTER UPDATE ON lease
WHEN NEW.scope GLOB 'shard/*' AND (NEW.holder <> OLD.holder OR NEW.incarnation <> OLD.incarnation OR NEW.counter <> OLD.counter)
BEGIN UPDATE division SET version = version + 1; END;
CREATE TRIGGER cordon_insert_moves AFTER INSERT ON cordon
BEGIN UPDATE division SET version = version + 1; END;
CREATE TRIGGER cordon_update BEFORE UPDATE ON cordon
BEGIN SELECT RAISE(ABORT, 'setpoint: a cordon is there or not: INSERT it or DELETE it'); END;
CREATE TRIGGER cordon_delete_moves AFTER DELETE ON cordon
BEGIN UPDATE division SET version = version + 1; END;

CREATE TRIGGER division_update BEFORE UPDATE ON division WHEN NEW.id <> OLD.id OR NEW.version <> OLD.version + 1
BEGIN SELECT RAISE(ABORT, 'setpoint: the version of the assignments counts their changes, by one'); END;
CREATE TRIGGER division_delete BEFORE DELETE ON division
BEGIN SELECT RAISE(ABORT, 'setpoint: the version of the assignments must not start again'); END;
CREATE TRIGGER node_update BEFORE UPDATE OF id, joined ON node WHEN NEW.id <> OLD.id OR NEW.joined <> OLD.joined
BEGIN SELECT RAISE(ABORT, 'setpoint: a node is one run of one process; another run is another row'); END;
