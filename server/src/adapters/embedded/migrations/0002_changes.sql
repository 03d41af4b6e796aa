-- The change feed. Every record carries the number of its newest change, and a
-- file that is gone leaves a row behind, so that whoever has seen the changes
-- up to a number finds what came after it.

ALTER TABLE uploads ADD COLUMN change INTEGER NOT NULL DEFAULT 0;
ALTER TABLE files ADD COLUMN change INTEGER NOT NULL DEFAULT 0;

CREATE INDEX uploads_by_change ON uploads (owner, change);
CREATE INDEX files_by_change ON files (owner, change, upload_id);
CREATE INDEX files_processing ON files (owner, create_time DESC, id DESC)
    WHERE state = 'PROCESSING';

CREATE TABLE gone_files (
    owner     BLOB NOT NULL,
    change    INTEGER NOT NULL,
    id        BLOB NOT NULL,
    upload_id BLOB NOT NULL,
    gone_time INTEGER NOT NULL,
    PRIMARY KEY (owner, change)
) STRICT, WITHOUT ROWID;

CREATE INDEX gone_files_by_time ON gone_files (gone_time);

-- The newest change, the newest of those that are forgotten, and what tells
-- this feed from every other.
INSERT INTO settings (name, value) VALUES
    ('changes', 0), ('changes_forgotten', 0), ('feed', randomblob(8));
