-- Whose a promise was: who was given another name may have the former one back. NULL: not known.
ALTER TABLE retired ADD COLUMN issuer   TEXT;
ALTER TABLE retired ADD COLUMN subject  TEXT;

-- By how many seconds the clock of a node is ahead of the database's.
ALTER TABLE node ADD COLUMN clock_ahead BIGINT NOT NULL DEFAULT 0;
