-- The bytes of small files. A row is made durable by a commit that is shared
-- with others; a file of its own needs two syncs for itself alone.
CREATE TABLE small_contents (
    upload_id BLOB NOT NULL UNIQUE,
    content   BLOB NOT NULL
) STRICT;
