-- What we own (entry), what we were about to do (attempt), why files wait (standing), what was done
-- (history). Paths are bytes: any name a Linux file can have. Ids and checksums are bytes too (see
-- them with hex()); other text is bytes where it is not Unicode. SQLite keeps both in such columns.

CREATE TABLE entry (
    dataset      BLOB NOT NULL,
    folder       TEXT NOT NULL,
    path         BLOB NOT NULL,
    resource     BLOB NOT NULL,
    sha1         BLOB NOT NULL,
    size         INTEGER NOT NULL,
    stamp        BLOB,               -- size, mtime_ns, ctime_ns, inode; NULL: read the file again
    permalink    TEXT NOT NULL,      -- * at its end: then comes the resource's id
    applied      TEXT NOT NULL,      -- JSON: the base of the three-way merge of words; or nothing
    restore      TEXT,
    reset_to     TEXT,
    gone_since   REAL,
    published_at REAL NOT NULL,
    PRIMARY KEY (dataset, folder, path)
) WITHOUT ROWID;

CREATE UNIQUE INDEX entry_resource ON entry (resource);

CREATE TABLE attempt (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    dataset    BLOB NOT NULL,
    folder     TEXT NOT NULL,
    path       BLOB NOT NULL,
    kind       TEXT NOT NULL,
    started_at REAL NOT NULL,
    sha1       BLOB,
    size       INTEGER,
    stamp      BLOB,
    name       TEXT,
    resource   BLOB,
    before_sha1 BLOB,
    before_size INTEGER,
    title      TEXT,
    words      TEXT NOT NULL,
    sent       INTEGER NOT NULL DEFAULT 0,
    sent_at    REAL                -- when its last byte was about to go
);

CREATE INDEX attempt_dataset ON attempt (dataset);

CREATE TABLE standing (
    dataset     BLOB NOT NULL,
    folder      TEXT NOT NULL,
    path        BLOB NOT NULL,
    state       TEXT NOT NULL,
    code        TEXT NOT NULL,
    why         TEXT NOT NULL,
    since       REAL NOT NULL,
    failures    INTEGER NOT NULL,
    not_before  REAL,
    stamp       BLOB,
    sentry_id   TEXT,
    http_status INTEGER,
    forced      INTEGER NOT NULL DEFAULT 0,
    settings    TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (dataset, folder, path)
) WITHOUT ROWID;

CREATE TABLE history (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at       REAL NOT NULL,
    dataset  BLOB NOT NULL,
    folder   TEXT NOT NULL,
    path     BLOB NOT NULL,
    action   TEXT NOT NULL,
    resource BLOB,
    sha1     BLOB,
    size     INTEGER,
    detail   TEXT NOT NULL
);

CREATE INDEX history_path ON history (dataset, path, at);
CREATE INDEX history_at ON history (at);

-- one JSON document per dataset: its title, its page, when it was last looked at
CREATE TABLE dataset (
    dataset BLOB PRIMARY KEY,
    facts   TEXT NOT NULL,
    applied TEXT NOT NULL DEFAULT '{}'
) WITHOUT ROWID;

CREATE TABLE pin (
    name    TEXT PRIMARY KEY,
    dataset BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE presence (
    dataset  BLOB NOT NULL,
    folder   TEXT NOT NULL,
    identity TEXT NOT NULL,
    PRIMARY KEY (dataset, folder)
) WITHOUT ROWID;

CREATE TABLE request (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    verb    TEXT NOT NULL,
    dataset BLOB,
    path    BLOB,
    detail  TEXT
);

CREATE TABLE cache (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    at    REAL NOT NULL
) WITHOUT ROWID;
