-- What signs the URLs of downloads and of direct uploads. The newest key signs;
-- older ones are kept until nothing they signed is good any more.
CREATE TABLE signing_keys (
    id          BLOB PRIMARY KEY,
    secret      BLOB NOT NULL,
    create_time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
