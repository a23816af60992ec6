-- Which tier's shell a node gave an account last; NULL when it gave it none.
ALTER TABLE carried_out ADD COLUMN tier TEXT;
