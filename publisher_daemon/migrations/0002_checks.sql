-- What published bytes hold (profile), which bytes a person let through in spite of a check
-- (released), and which earlier version a person wants instead of what the folder holds (rollback).

CREATE TABLE profile (
    sha1    BLOB PRIMARY KEY,
    profile BLOB NOT NULL,
    at      REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE released (
    dataset BLOB NOT NULL,
    folder  TEXT NOT NULL,
    path    BLOB NOT NULL,
    sha1    BLOB NOT NULL,
    PRIMARY KEY (dataset, folder, path)
) WITHOUT ROWID;

CREATE TABLE rollback (
    dataset BLOB NOT NULL,
    folder  TEXT NOT NULL,
    path    BLOB NOT NULL,
    sha1    BLOB NOT NULL,
    size    INTEGER NOT NULL,
    instead BLOB,                -- the bytes in the folder that it stands for; NULL: there were none
    PRIMARY KEY (dataset, folder, path)
) WITHOUT ROWID;
