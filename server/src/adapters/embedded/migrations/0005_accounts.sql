-- People and programs: addresses and passwords, sessions, API keys with scopes,
-- invitations; and what each account holds.

ALTER TABLE accounts ADD COLUMN email TEXT;
-- argon2id in PHC string format.
ALTER TABLE accounts ADD COLUMN password TEXT;
ALTER TABLE accounts ADD COLUMN display_name TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN status TEXT NOT NULL DEFAULT 'ACTIVE';
ALTER TABLE accounts ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
ALTER TABLE accounts ADD COLUMN max_bytes INTEGER;
ALTER TABLE accounts ADD COLUMN max_active_uploads INTEGER;
ALTER TABLE accounts ADD COLUMN max_file_size INTEGER;

CREATE UNIQUE INDEX accounts_by_email ON accounts (email) WHERE email IS NOT NULL;
CREATE INDEX accounts_by_time ON accounts (create_time DESC, id DESC);

-- A session that has ended has no row.
CREATE TABLE sessions (
    id           BLOB PRIMARY KEY,
    account_id   BLOB NOT NULL,
    -- How often its tokens were refreshed; the refresh token names it.
    generation   INTEGER NOT NULL,
    user_agent   TEXT NOT NULL,
    address      TEXT NOT NULL,
    create_time  INTEGER NOT NULL,
    refresh_time INTEGER NOT NULL,
    expire_time  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_account ON sessions (account_id, create_time DESC, id DESC);
CREATE INDEX sessions_by_expiry ON sessions (expire_time);

-- The only key until now, the operator's, is installed anew at every start.
DROP TABLE api_keys;
CREATE TABLE api_keys (
    id            BLOB PRIMARY KEY,
    account_id    BLOB NOT NULL,
    -- SHA-256 of the secret.
    hash          BLOB NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    -- Names of scopes, divided by spaces.
    scopes        TEXT NOT NULL,
    -- Whether it is the key in the operator's data folder.
    is_operators  INTEGER NOT NULL,
    create_time   INTEGER NOT NULL,
    expire_time   INTEGER,
    last_use_time INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX api_keys_by_account ON api_keys (account_id, create_time DESC, id DESC);

-- Each is good for one registration.
CREATE TABLE invitations (
    -- SHA-256 of the token.
    hash        BLOB PRIMARY KEY,
    -- Whether it registers the operator's account.
    is_operators INTEGER NOT NULL,
    expire_time INTEGER
) STRICT, WITHOUT ROWID;

-- What signs tokens is not what signs URLs.
ALTER TABLE signing_keys ADD COLUMN purpose TEXT NOT NULL DEFAULT 'URL';

-- What uploads have reserved while they are open: their size or, as long as
-- that is not known, what came so far, rounded up to whole GiB.
ALTER TABLE uploads ADD COLUMN reserved INTEGER NOT NULL DEFAULT 0;
UPDATE uploads SET reserved = coalesce(size, (persisted_bytes + 1073741823) / 1073741824 * 1073741824)
    WHERE state IN ('ACTIVE', 'COMPLETING');

-- The sums over the records of each owner, changed with them.
CREATE TABLE usage (
    owner          BLOB PRIMARY KEY,
    stored_bytes   INTEGER NOT NULL DEFAULT 0,
    reserved_bytes INTEGER NOT NULL DEFAULT 0,
    active_uploads INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

INSERT INTO usage (owner, stored_bytes, reserved_bytes, active_uploads)
    SELECT owner, sum(stored), sum(reserved), sum(active) FROM (
        SELECT owner, size AS stored, 0 AS reserved, 0 AS active FROM files WHERE state <> 'FAILED'
        UNION ALL
        SELECT owner, 0, reserved, 1 FROM uploads WHERE state IN ('ACTIVE', 'COMPLETING')
    ) GROUP BY owner;
