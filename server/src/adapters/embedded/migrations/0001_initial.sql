-- Ids are the 16 bytes of their UUID; times are microseconds since 1970 (UTC);
-- checksums are as in the contract.

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    id          BLOB PRIMARY KEY,
    create_time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    hash       BLOB PRIMARY KEY,
    account_id BLOB NOT NULL REFERENCES accounts (id)
) STRICT, WITHOUT ROWID;

CREATE TABLE uploads (
    id                  BLOB PRIMARY KEY,
    owner               BLOB NOT NULL,
    file_id             BLOB NOT NULL,
    state               TEXT NOT NULL,
    name                TEXT NOT NULL,
    content_type        TEXT NOT NULL,
    size                INTEGER,
    max_size            INTEGER,
    part_size           INTEGER NOT NULL,
    persisted_bytes     INTEGER NOT NULL,
    epoch               INTEGER NOT NULL,
    declared_crc32c     INTEGER,
    declared_sha256     BLOB,
    declared_blake3     BLOB,
    metadata            TEXT NOT NULL,
    replaces            INTEGER NOT NULL,
    create_time         INTEGER NOT NULL,
    update_time         INTEGER NOT NULL,
    expire_time         INTEGER NOT NULL,
    -- Set together when the upload is frozen.
    file_size           INTEGER,
    file_crc32c         INTEGER,
    file_blake3         BLOB,
    sequence            INTEGER,
    error               TEXT,
    request_id          TEXT,
    request_fingerprint BLOB
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX uploads_by_request ON uploads (owner, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX uploads_by_time ON uploads (owner, create_time DESC, id DESC);
CREATE INDEX uploads_active ON uploads (expire_time) WHERE state = 'ACTIVE';
CREATE INDEX uploads_completing ON uploads (owner, name) WHERE state = 'COMPLETING';
CREATE INDEX uploads_ended ON uploads (update_time) WHERE state NOT IN ('ACTIVE', 'COMPLETING');

CREATE TABLE parts (
    upload_id      BLOB NOT NULL,
    number         INTEGER NOT NULL,
    size           INTEGER NOT NULL,
    crc32c         INTEGER NOT NULL,
    -- These are absent in a part that nobody has read yet.
    -- CRC32C of each aligned block of 1 MiB, four bytes each, little-endian.
    blocks         BLOB,
    chaining_value BLOB,
    root           BLOB,
    PRIMARY KEY (upload_id, number),
    CHECK ((blocks IS NULL) = (chaining_value IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE files (
    id           BLOB PRIMARY KEY,
    owner        BLOB NOT NULL,
    upload_id    BLOB NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    content_type TEXT NOT NULL,
    size         INTEGER NOT NULL,
    part_size    INTEGER NOT NULL,
    crc32c       INTEGER,
    sha256       BLOB,
    blake3       BLOB,
    state        TEXT NOT NULL,
    metadata     TEXT NOT NULL,
    revision     INTEGER NOT NULL,
    sequence     INTEGER NOT NULL,
    create_time  INTEGER NOT NULL,
    ready_time   INTEGER,
    error        TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX files_by_time ON files (owner, create_time DESC, id DESC);
CREATE INDEX files_by_name ON files (owner, name, id);

-- Which file can be read under a name.
CREATE TABLE names (
    owner   BLOB NOT NULL,
    name    TEXT NOT NULL,
    file_id BLOB NOT NULL,
    PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    payload    TEXT NOT NULL,
    visible_at INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    dead       INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX events_waiting ON events (visible_at) WHERE dead = 0;
