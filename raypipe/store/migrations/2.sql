-- From schema 1 to 2: routes of models, ways back of aliases, captured rows that were accepted.

CREATE TABLE routes (
    id INTEGER PRIMARY KEY,         -- the newest row of a model is its route
    model TEXT NOT NULL,
    shares TEXT NOT NULL,           -- version to share as JSON
    actor TEXT NOT NULL,
    time REAL NOT NULL
);
CREATE INDEX routes_by_model ON routes (model, id DESC);

CREATE TABLE captures (
    id INTEGER PRIMARY KEY,
    project TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    evidence TEXT NOT NULL,         -- digest of the captured rows that were accepted
    commit_id TEXT NOT NULL,        -- of the dataset that they became a part of
    row_count INTEGER NOT NULL,
    actor TEXT NOT NULL,
    time REAL NOT NULL,
    UNIQUE (project, pipeline, evidence)
);

ALTER TABLE alias_history RENAME TO alias_history_1;
CREATE TABLE alias_history (
    id INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    alias TEXT NOT NULL,
    version TEXT NOT NULL,
    actor TEXT NOT NULL,
    time REAL NOT NULL,
    back INTEGER NOT NULL DEFAULT 0 -- 1: it went back there, and the change before is undone
);
INSERT INTO alias_history (id, model, alias, version, actor, time)
SELECT id, model, alias, version, actor, time FROM alias_history_1;
DROP TABLE alias_history_1;
