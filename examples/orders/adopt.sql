-- What a controller needs of the table: a token that is stored before the bank is called, a version that changes
-- with every write, and a way to ask for the changes of all rows at once.
ALTER TABLE orders ADD COLUMN payment_token TEXT NOT NULL DEFAULT '';
ALTER TABLE orders ADD COLUMN version INTEGER NOT NULL DEFAULT 0;

-- One line per order, with its last change: it never outgrows the table. AUTOINCREMENT, because a number must not
-- come back when the line that has it is replaced.
CREATE TABLE order_changes (
	seq      INTEGER PRIMARY KEY AUTOINCREMENT,
	order_id INTEGER NOT NULL UNIQUE
);

-- Triggers, so that a human with a SQL prompt is noticed too. The lines are deleted and inserted, for an OR IGNORE in the
-- statement that fires a trigger would also hold for an OR REPLACE inside.
CREATE TRIGGER orders_inserted AFTER INSERT ON orders BEGIN
	DELETE FROM order_changes WHERE order_id = NEW.id;
	INSERT INTO order_changes (order_id) VALUES (NEW.id);
	UPDATE orders SET version = (SELECT seq FROM order_changes WHERE order_id = NEW.id) WHERE id = NEW.id;
END;

CREATE TRIGGER orders_updated AFTER UPDATE ON orders WHEN NEW.version = OLD.version BEGIN
	DELETE FROM order_changes WHERE order_id = NEW.id;
	INSERT INTO order_changes (order_id) VALUES (NEW.id);
	UPDATE orders SET version = (SELECT seq FROM order_changes WHERE order_id = NEW.id) WHERE id = NEW.id;
END;

CREATE TRIGGER orders_deleted AFTER DELETE ON orders BEGIN
	DELETE FROM order_changes WHERE order_id = OLD.id;
	INSERT INTO order_changes (order_id) VALUES (OLD.id);
END;
