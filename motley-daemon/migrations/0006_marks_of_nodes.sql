-- Several nodes may share this database. Each change of an account's marks gets the next number of one
-- counter, and every node notes up to which number its own account shows them.
CREATE TABLE mark_counter (
    id     BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    value  BIGINT NOT NULL
);
INSERT INTO mark_counter (id, value) VALUES (1, 1);

ALTER TABLE account ADD COLUMN mark_version BIGINT NOT NULL DEFAULT 0;
UPDATE account SET mark_version = 1 WHERE unsettled <> 0 OR leaving_at IS NOT NULL;
UPDATE account SET unsettled = 0;
CREATE INDEX account_mark_version ON account (mark_version);

-- The nodes, and when each was seen last.
CREATE TABLE node (
    name      TEXT    NOT NULL PRIMARY KEY,
    -- Which process speaks for it: two of one name are a mistake.
    instance  TEXT    NOT NULL,
    seen_at   BIGINT  NOT NULL
);

-- What a node did about an identity.
CREATE TABLE carried_out (
    node           TEXT    NOT NULL,
    issuer         TEXT    NOT NULL,
    subject        TEXT    NOT NULL,
    -- The number of the marks that its account shows.
    version        BIGINT  NOT NULL DEFAULT 0,
    -- 1 when it locked the account for them.
    suspended      BIGINT  NOT NULL DEFAULT 0,
    -- Shell that the account had there before it was limited; NULL when it is not.
    limited_shell  TEXT,
    -- 1 when it made or found the account, or is about to make it.
    holds          BIGINT  NOT NULL DEFAULT 0,
    -- What ended there for it.
    sessions       BIGINT  NOT NULL DEFAULT 0,
    processes      BIGINT  NOT NULL DEFAULT 0,
    PRIMARY KEY (node, issuer, subject)
);
CREATE INDEX carried_out_identity ON carried_out (issuer, subject);
