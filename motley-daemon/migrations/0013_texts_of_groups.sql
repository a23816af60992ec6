-- The text of a provider that a local group was first made from, in lower case: another text that becomes
-- the same name is another group, of other people.
CREATE TABLE group_text (
    name        TEXT    PRIMARY KEY NOT NULL,
    text        TEXT    NOT NULL,
    -- Who asserted it first.
    issuer      TEXT    NOT NULL,
    noted_at    BIGINT  NOT NULL
);
