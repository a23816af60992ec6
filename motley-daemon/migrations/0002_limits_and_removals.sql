-- Accounts that an admin of the host limited: their shell is that of tier limited until he lifts it,
-- whatever tier the person earns meanwhile.
ALTER TABLE account ADD COLUMN limited_at    BIGINT;
ALTER TABLE account ADD COLUMN limited_by    TEXT;
-- Shell that the account had before, to be restored if an admin had set it.
ALTER TABLE account ADD COLUMN limited_shell TEXT;

-- Accounts that are being taken away: set before anything else is done, NULL again when it is done.
ALTER TABLE account ADD COLUMN leaving_at    BIGINT;
ALTER TABLE account ADD COLUMN leaving_by    TEXT;
-- When the account was taken away last. Name and uid stay in the row: they are this person's for ever.
ALTER TABLE account ADD COLUMN removed_at    BIGINT;
