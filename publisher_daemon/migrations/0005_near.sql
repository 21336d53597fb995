-- Resources by dataset first: those of one dataset then stand together, as its files do. By their
-- ids alone, which are random, ten thousand new ones would touch each page of the index of a million.

DROP INDEX entry_resource;

CREATE UNIQUE INDEX entry_resource ON entry (dataset, resource);
