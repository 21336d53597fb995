-- A file that goes up in parts: which of them the portal has, until they are put together.

CREATE TABLE parcel (
    dataset   BLOB NOT NULL,
    folder    TEXT NOT NULL,
    path      BLOB NOT NULL,
    id        BLOB NOT NULL,       -- the uuid that names its parts on the portal
    sha1      BLOB NOT NULL,
    size      INTEGER NOT NULL,
    part_size INTEGER NOT NULL,
    why       TEXT NOT NULL,
    at        REAL NOT NULL,       -- when the last part went
    sent      INTEGER NOT NULL,    -- parts whose end was let go
    prefix    BLOB NOT NULL,       -- sha1 of the file up to there
    failures  INTEGER NOT NULL,
    PRIMARY KEY (dataset, folder, path)
) WITHOUT ROWID;
