-- Short random codes, found by a digest of the code. What is sealed opens with the code only.
CREATE TABLE login_code (
    digest      BLOB    NOT NULL PRIMARY KEY,
    -- token: the access token is sealed in it; vouched: an admin of the host stands for the person.
    kind        TEXT    NOT NULL CHECK (kind IN ('token', 'vouched')),
    issuer      TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    -- The one account name that it opens.
    name        TEXT    NOT NULL,
    -- Uid of the admin who vouched.
    vouched_by  BIGINT,
    sealed      BLOB    NOT NULL,
    expires_at  BIGINT  NOT NULL
);
CREATE INDEX login_code_identity ON login_code (issuer, subject);
CREATE INDEX login_code_expiry ON login_code (expires_at);
