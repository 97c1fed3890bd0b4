-- The take-up of what nodes have gained can be paused: at most one row, which stays when its time has passed, and means nothing then.
CREATE TABLE pause (
  id      INTEGER PRIMARY KEY CHECK (id = 1),
  by_whom TEXT    NOT NULL CHECK (by_whom <> ''),
  since   INTEGER NOT NULL,
  until   INTEGER NOT NULL CHECK (until > since)
) STRICT;

-- Whoever changes it, everybody hears of it with the version of assignments and cordons.
CREATE TRIGGER pause_insert_moves AFTER INSERT ON pause
BEGIN UPDATE division SET version = version + 1; END;
CREATE TRIGGER pause_update_moves AFTER UPDATE ON pause
BEGIN UPDATE division SET version = version + 1; END;
CREATE TRIGGER pause_delete_moves AFTER DELETE ON pause
BEGIN UPDATE division SET version = version + 1; END;
