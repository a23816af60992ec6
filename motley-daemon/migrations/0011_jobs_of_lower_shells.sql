-- Whether jobs and lingering services of the account are held there, for it is limited or has the shell
-- of a lower tier. 0: they are not. 1: that was being changed. 2: they are.
ALTER TABLE carried_out ADD COLUMN jobs BIGINT NOT NULL DEFAULT 0;
