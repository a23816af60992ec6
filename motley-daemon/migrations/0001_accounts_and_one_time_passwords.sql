-- One row for every identity that has, had or must not have an account here.
CREATE TABLE account (
    issuer        TEXT    NOT NULL,
    subject       TEXT    NOT NULL,
    name          TEXT    UNIQUE,
    uid           BIGINT  UNIQUE,
    -- none: no account, the row only holds a suspension; reserved: name and uid are promised;
    -- deployed: the account was made or adopted.
    phase         TEXT    NOT NULL CHECK (phase IN ('none', 'reserved', 'deployed')),
    -- Assurance shell tier that was applied last; a shell other than its own was set by an admin.
    tier          TEXT    CHECK (tier IN ('full', 'limited', 'restricted')),
    suspended_at  BIGINT,
    suspended_by  TEXT,
    -- 1 while a suspension or resumption has not reached the back end yet; retried until it has.
    unsettled     BIGINT  NOT NULL DEFAULT 0,
    created_at    BIGINT  NOT NULL,
    PRIMARY KEY (issuer, subject)
);

-- Names and uids that were promised once and must never go to anybody again.
CREATE TABLE retired (
    name        TEXT    NOT NULL,
    uid         BIGINT  NOT NULL,
    retired_at  BIGINT  NOT NULL
);
CREATE INDEX retired_name ON retired (name);
CREATE INDEX retired_uid ON retired (uid);

-- The access token behind a one-time password, sealed under a key that only the password yields.
CREATE TABLE one_time_password (
    digest      BLOB    NOT NULL PRIMARY KEY,
    issuer      TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    sealed      BLOB    NOT NULL,
    expires_at  BIGINT  NOT NULL
);
CREATE INDEX one_time_password_identity ON one_time_password (issuer, subject);
CREATE INDEX one_time_password_expiry ON one_time_password (expires_at);
