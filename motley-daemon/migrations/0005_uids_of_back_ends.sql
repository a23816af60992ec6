-- A directory may number its accounts itself, and a promise that it did not keep had no uid.
ALTER TABLE retired RENAME TO retired_with_uid;
DROP INDEX retired_name;
DROP INDEX retired_uid;
CREATE TABLE retired (
    name        TEXT    NOT NULL,
    uid         BIGINT,
    retired_at  BIGINT  NOT NULL
);
INSERT INTO retired (name, uid, retired_at) SELECT name, uid, retired_at FROM retired_with_uid;
DROP TABLE retired_with_uid;
CREATE INDEX retired_name ON retired (name);
CREATE INDEX retired_uid ON retired (uid);
