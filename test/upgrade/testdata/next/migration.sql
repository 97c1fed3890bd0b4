-- +goose Up
-- What a program to come may need: a column in two tables, an index and a table. Everything is added, and nothing that is there means anything else: programs that do not know of it go on.
ALTER TABLE setpoint.object ADD COLUMN tier text NOT NULL DEFAULT '';
ALTER TABLE setpoint.command ADD COLUMN weight int NOT NULL DEFAULT 1;
CREATE INDEX object_by_tier ON setpoint.object (tier) WHERE tier <> '';
CREATE TABLE setpoint.tier (
  name text COLLATE "C" PRIMARY KEY,
  about text NOT NULL
);
