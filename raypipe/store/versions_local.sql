-- Commits and refs of one local repository; the files themselves lie under objects/ by content.

CREATE TABLE IF NOT EXISTS trees (
    digest TEXT PRIMARY KEY,
    entries TEXT NOT NULL       -- JSON: path to [object id, size], by path
);

CREATE TABLE IF NOT EXISTS commits (
    number INTEGER PRIMARY KEY, -- the order in which they were made
    id TEXT NOT NULL UNIQUE,
    tree TEXT NOT NULL REFERENCES trees (digest),
    parents TEXT NOT NULL,      -- JSON list of ids
    message TEXT NOT NULL,
    actor TEXT NOT NULL,        -- JSON
    time REAL NOT NULL,
    meta TEXT NOT NULL          -- JSON
);

CREATE TABLE IF NOT EXISTS refs (
    name TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('branch', 'tag')),
    id TEXT NOT NULL REFERENCES commits (id)
);

CREATE TABLE IF NOT EXISTS staged (
    branch TEXT NOT NULL REFERENCES refs (name) ON DELETE CASCADE,
    path TEXT NOT NULL,
    object TEXT,                -- NULL: the path is removed
    size INTEGER NOT NULL,
    PRIMARY KEY (branch, path)
);
