-- The table of a shop that has never heard of Setpoint.
CREATE TABLE IF NOT EXISTS orders (
	id      INTEGER PRIMARY KEY,
	cents   INTEGER NOT NULL,
	packed  INTEGER NOT NULL DEFAULT 0, -- the warehouse sets it
	state   TEXT    NOT NULL DEFAULT 'New',
	receipt TEXT    NOT NULL DEFAULT ''
);
