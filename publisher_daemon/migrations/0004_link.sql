-- How permalinks begin: of a million files they all begin alike, and are kept once.

CREATE TABLE link (
    id    INTEGER PRIMARY KEY,
    start TEXT NOT NULL UNIQUE
);
