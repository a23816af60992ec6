-- When somebody used an account last, at most an hour old, and what follows from not using it.
CREATE TABLE last_use (
    issuer     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    used_at    BIGINT  NOT NULL,
    -- By token, code, key, rest; first_seen: nobody has used it since this is written down.
    how        TEXT    NOT NULL,
    -- Verified mail address of the person, for a warning.
    email      TEXT,
    -- When the person was warned about this idleness.
    warned_at  BIGINT,
    -- What idleness led to: limited, suspended; NULL: nothing.
    acted      TEXT    CHECK (acted IN ('limited', 'suspended')),
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX last_use_age ON last_use (used_at);
