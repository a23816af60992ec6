-- When the last mail about a request of this identity was due: the next one keeps its distance.
ALTER TABLE approval ADD COLUMN mailed_at BIGINT;
