-- What somebody asks an admin for, and what admins have accepted so far: one row for each identity.
CREATE TABLE approval (
    issuer        TEXT    NOT NULL,
    subject       TEXT    NOT NULL,
    -- Names the request; a new one for each, so that an old mail never speaks of another request.
    id            TEXT    NOT NULL UNIQUE,
    -- Grows with each change of what is asked for.
    revision      BIGINT  NOT NULL,
    -- account: a first account; groups: further groups of one that is there.
    kind          TEXT    NOT NULL CHECK (kind IN ('account', 'groups')),
    -- accepting: an admin accepted it, and it is being carried out; accepted: nothing is open.
    status        TEXT    NOT NULL CHECK (status IN ('pending', 'accepting', 'rejected', 'accepted')),
    -- The intent as JSON: person, claims that rules read, groups, tier.
    intent        TEXT    NOT NULL,
    -- Groups that were accepted, with blanks between them, for as long as the person claims them.
    accepted      TEXT    NOT NULL DEFAULT '',
    requested_at  BIGINT  NOT NULL,
    updated_at    BIGINT  NOT NULL,
    expires_at    BIGINT  NOT NULL,
    decided_at    BIGINT,
    decided_by    TEXT,
    -- Why carrying it out failed last.
    last_error    TEXT,
    PRIMARY KEY (issuer, subject)
);

-- Mails that the mail server has not taken yet.
CREATE TABLE outbox (
    id          TEXT    NOT NULL PRIMARY KEY,
    -- Address of a person; NULL: the admins.
    addressee   TEXT,
    subject     TEXT    NOT NULL,
    body        TEXT    NOT NULL,
    created_at  BIGINT  NOT NULL,
    retry_at    BIGINT  NOT NULL,
    failures    BIGINT  NOT NULL DEFAULT 0,
    last_error  TEXT
);
CREATE INDEX outbox_age ON outbox (created_at);
