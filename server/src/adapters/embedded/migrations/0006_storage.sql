-- What blob stores other than files keep with the records.
ALTER TABLE uploads ADD COLUMN place TEXT;
ALTER TABLE uploads ADD COLUMN verify INTEGER NOT NULL DEFAULT 0;
ALTER TABLE parts ADD COLUMN tag TEXT;
