-- What we own (entry), what we were about to do (attempt), why files wait (standing), what was done
-- (history). Paths are bytes: any name a Linux file can have.

CREATE TABLE entry (
    dataset      TEXT NOT NULL,
    folder       TEXT NOT NULL,
    path         BLOB NOT NULL,
    resource     TEXT NOT NULL,
    sha1         TEXT NOT NULL,
    size         INTEGER NOT NULL,
    stamp        TEXT,               -- size, mtime_ns, ctime_ns, inode; NULL: read the file again
    permalink    TEXT NOT NULL,
    applied      TEXT NOT NULL,      -- JSON: the base of the three-way merge of words
    restore      TEXT,
    reset_to     TEXT,
    gone_since   REAL,
    published_at REAL NOT NULL,
    PRIMARY KEY (dataset, folder, path)
) WITHOUT ROWID;

CREATE UNIQUE INDEX entry_resource ON entry (resource);

CREATE TABLE attempt (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    dataset    TEXT NOT NULL,
    folder     TEXT NOT NULL,
    path       BLOB NOT NULL,
    kind       TEXT NOT NULL,
    started_at REAL NOT NULL,
    sha1       TEXT,
    size       INTEGER,
    stamp      TEXT,
    name       TEXT,
    resource   TEXT,
    before_sha1 TEXT,
    before_size INTEGER,
    title      TEXT,
    words      TEXT NOT NULL,
    sent       INTEGER NOT NULL DEFAULT 0,
    sent_at    REAL                -- when its last byte was about to go
);

CREATE INDEX attempt_dataset ON attempt (dataset);

CREATE TABLE standing (
    dataset     TEXT NOT NULL,
    folder      TEXT NOT NULL,
    path        BLOB NOT NULL,
    state       TEXT NOT NULL,
    code        TEXT NOT NULL,
    why         TEXT NOT NULL,
    since       REAL NOT NULL,
    failures    INTEGER NOT NULL,
    not_before  REAL,
    stamp       TEXT,
    sentry_id   TEXT,
    http_status INTEGER,
    forced      INTEGER NOT NULL DEFAULT 0,
    settings    TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (dataset, folder, path)
) WITHOUT ROWID;

CREATE TABLE history (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at       REAL NOT NULL,
    dataset  TEXT NOT NULL,
    folder   TEXT NOT NULL,
    path     BLOB NOT NULL,
    action   TEXT NOT NULL,
    resource TEXT,
    sha1     TEXT,
    size     INTEGER,
    detail   TEXT NOT NULL
);

CREATE INDEX history_path ON history (dataset, path, at);
CREATE INDEX history_at ON history (at);

-- one JSON document per dataset: its title, its page, when it was last looked at
CREATE TABLE dataset (
    dataset TEXT PRIMARY KEY,
    facts   TEXT NOT NULL,
    applied TEXT NOT NULL DEFAULT '{}'
) WITHOUT ROWID;

CREATE TABLE pin (
    name    TEXT PRIMARY KEY,
    dataset TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE presence (
    dataset  TEXT NOT NULL,
    folder   TEXT NOT NULL,
    identity TEXT NOT NULL,
    PRIMARY KEY (dataset, folder)
) WITHOUT ROWID;

CREATE TABLE request (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    verb    TEXT NOT NULL,
    dataset TEXT,
    path    BLOB,
    detail  TEXT
);

CREATE TABLE cache (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    at    REAL NOT NULL
) WITHOUT ROWID;
