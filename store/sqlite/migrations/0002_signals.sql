-- Signals say why they were raised, what they are about, and when they mean nothing any more; the history is read by kind.

ALTER TABLE signal ADD COLUMN why     TEXT    NOT NULL DEFAULT '';
ALTER TABLE signal ADD COLUMN dedupe  TEXT    NOT NULL DEFAULT '';
ALTER TABLE signal ADD COLUMN expires INTEGER NOT NULL DEFAULT 0; -- 0 is "never"

-- History of a kind, a page at a time in the order of the commits. New entries come at the end of their kind, next to each other, so that a group touches few
-- pages. The time is in it because a question about yesterday must not read the rows of a year; entries of one revision come in the order of id.
CREATE INDEX history_by_kind ON history (kind, revision, at);
