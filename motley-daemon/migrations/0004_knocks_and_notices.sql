-- People whose identity is valid but whom nobody lets in. Names are remote text, escaped and cut.
CREATE TABLE knock (
    issuer              TEXT    NOT NULL,
    subject             TEXT    NOT NULL,
    -- What was missing at the last attempt, as words with blanks between them.
    missing             TEXT    NOT NULL,
    preferred_username  TEXT,
    email               TEXT,
    name                TEXT,
    first_at            BIGINT  NOT NULL,
    last_at             BIGINT  NOT NULL,
    attempts            BIGINT  NOT NULL,
    -- When the admins were mailed about this one.
    mailed_at           BIGINT,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX knock_age ON knock (last_at);

-- One row for each kind of mail: who of several processes sends it, and how it went.
CREATE TABLE notice (
    kind         TEXT    NOT NULL PRIMARY KEY,
    holder       TEXT,
    held_until   BIGINT  NOT NULL DEFAULT 0,
    sent_at      BIGINT,
    failures     BIGINT  NOT NULL DEFAULT 0,
    last_error   TEXT,
    retry_at     BIGINT
);
