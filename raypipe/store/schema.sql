-- The ledger's tables as they are.

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    status TEXT NOT NULL,
    created REAL NOT NULL,
    ended REAL,
    record TEXT NOT NULL,           -- RunRecord as JSON, status and end left out
    error TEXT,
    backwards TEXT NOT NULL DEFAULT '', -- the id read from its end, since runs are named by that too
    given TEXT NOT NULL DEFAULT ''  -- what it was given: a digest of `given`
);
CREATE INDEX runs_by_time ON runs (created DESC, id DESC);
CREATE INDEX runs_by_project ON runs (project, created DESC, id DESC);
CREATE INDEX runs_by_end ON runs (backwards);
CREATE INDEX runs_by_given ON runs (given);
CREATE INDEX runs_under_way ON runs (created) WHERE status = 'running';

CREATE TABLE run_steps (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    key TEXT,
    state TEXT NOT NULL,            -- StepState as JSON
    PRIMARY KEY (run, name)
);
CREATE INDEX run_steps_by_position ON run_steps (run, position);

CREATE TABLE uses (                 -- the newest run that used or made what a key of a step finds
    project TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    step TEXT NOT NULL,
    key TEXT NOT NULL,
    run TEXT NOT NULL,
    at REAL NOT NULL,               -- when that run was created
    PRIMARY KEY (project, pipeline, step, key)
) WITHOUT ROWID;
CREATE INDEX uses_by_time ON uses (project, pipeline, step, at DESC);
CREATE INDEX uses_by_key ON uses (key);
CREATE INDEX uses_by_run ON uses (run);

CREATE TABLE executions (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step TEXT NOT NULL,
    key TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    status TEXT NOT NULL,
    started REAL NOT NULL,
    ended REAL,
    host TEXT NOT NULL,
    reason TEXT NOT NULL,           -- why it was executed
    error TEXT
);
CREATE INDEX executions_by_run ON executions (run, step);

CREATE TABLE results (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    live INTEGER NOT NULL DEFAULT 1,
    superseded TEXT,                -- why it is out of use
    project TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    step TEXT NOT NULL,
    root TEXT NOT NULL,
    explanation TEXT NOT NULL,      -- Explanation as JSON
    run TEXT NOT NULL,
    seconds REAL NOT NULL,
    created REAL NOT NULL,
    expires REAL
);
CREATE UNIQUE INDEX one_live_result_a_key ON results (key) WHERE live = 1;
CREATE INDEX results_by_key ON results (key);
CREATE INDEX results_by_step ON results (project, pipeline, step, id DESC);
CREATE INDEX results_by_run ON results (run);

CREATE TABLE result_artifacts (
    result INTEGER NOT NULL REFERENCES results (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    PRIMARY KEY (result, position)
) WITHOUT ROWID;
CREATE INDEX result_artifacts_by_digest ON result_artifacts (digest);

CREATE TABLE fingerprints (digest TEXT PRIMARY KEY, parts TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE symbol_sources (digest TEXT PRIMARY KEY, source TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE metrics (
    run TEXT NOT NULL,
    step TEXT NOT NULL,
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    value REAL,
    time REAL NOT NULL,
    PRIMARY KEY (run, step, name, at)
) WITHOUT ROWID;

CREATE TABLE reviews (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    step TEXT NOT NULL,
    evidence TEXT NOT NULL,
    status TEXT NOT NULL,
    created REAL NOT NULL,
    record TEXT NOT NULL,           -- Review as JSON
    UNIQUE (project, pipeline, step, evidence)
);
CREATE INDEX reviews_by_time ON reviews (created DESC, id);

CREATE TABLE model_versions (
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    bundle TEXT NOT NULL,
    created REAL NOT NULL,
    record TEXT NOT NULL,           -- ModelVersionRow as JSON
    PRIMARY KEY (model, version),
    UNIQUE (model, bundle)
);

CREATE TABLE aliases (
    model TEXT NOT NULL,
    alias TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (model, alias),
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version)
) WITHOUT ROWID;

CREATE TABLE alias_history (
    id INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    alias TEXT NOT NULL,
    version TEXT NOT NULL,
    actor TEXT NOT NULL,
    time REAL NOT NULL,
    back INTEGER NOT NULL DEFAULT 0 -- 1: it went back there, and the change before is undone
);
CREATE INDEX alias_history_by_model ON alias_history (model, id DESC);

CREATE TABLE looks (
    id INTEGER PRIMARY KEY,
    dataset TEXT NOT NULL,          -- digest of the shards whose analysis rows were looked at
    run TEXT NOT NULL,
    step TEXT NOT NULL,
    time REAL NOT NULL
);
CREATE UNIQUE INDEX one_look_a_step ON looks (dataset, run, step);

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

CREATE TABLE claims (               -- of several hosts; those of a folder are files
    key TEXT NOT NULL,
    owner TEXT NOT NULL,
    shared INTEGER NOT NULL,
    beat INTEGER NOT NULL,          -- moves while the owner lives
    PRIMARY KEY (key, owner)
) WITHOUT ROWID;

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,       -- idempotency key of an effect
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,          -- as JSON
    status TEXT NOT NULL,           -- waiting, delivered, given up or dropped
    attempts INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    due REAL NOT NULL,              -- not tried again before
    ended REAL,
    error TEXT                      -- what the last attempt came to, if to nothing
);
CREATE INDEX outbox_by_status ON outbox (status, id);

CREATE TABLE holds (                -- what a person keeps from being removed
    kind TEXT NOT NULL,             -- run, artifact, version
    name TEXT NOT NULL,             -- a run's id, a digest, MODEL@VERSION
    note TEXT NOT NULL,
    actor TEXT NOT NULL,
    time REAL NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;

CREATE TABLE verdicts (             -- what validation, or a person, said of data
    id INTEGER PRIMARY KEY,
    content TEXT NOT NULL,          -- digest of the paths and object ids of its shards
    verdict TEXT NOT NULL,          -- pass, stop or accepted
    dataset TEXT NOT NULL,          -- where it lay, at its commit
    run TEXT NOT NULL,              -- that looked at it; empty where a person alone spoke
    evidence TEXT NOT NULL,         -- digest of what validation found; empty: nobody looked
    actor TEXT NOT NULL,
    note TEXT NOT NULL,
    time REAL NOT NULL
);
CREATE UNIQUE INDEX one_verdict_on_an_evidence ON verdicts (content, verdict, evidence);
CREATE INDEX verdicts_of_people ON verdicts (id) WHERE verdict = 'accepted';

CREATE TABLE protections (          -- branches that only validated data comes to
    dataset TEXT PRIMARY KEY,       -- SCHEME://REPO/BRANCH, with /PATH
    gate TEXT NOT NULL,             -- what lakeFS asks; empty where it is not lakeFS's
    action TEXT NOT NULL,           -- object id of the file that says so
    server TEXT NOT NULL,           -- endpoint of lakeFS that has the branch; empty as above
    actor TEXT NOT NULL,
    time REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE refusals (             -- what a gate would not have
    id INTEGER PRIMARY KEY,
    dataset TEXT NOT NULL,          -- the protected one
    event TEXT NOT NULL,            -- pre-merge, …
    source TEXT NOT NULL,           -- the branch or commit that was to come in
    commit_id TEXT NOT NULL,        -- of that source
    reason TEXT NOT NULL,
    time REAL NOT NULL
);
CREATE INDEX refusals_by_dataset ON refusals (dataset, id DESC);

CREATE TABLE triggered (            -- runs that a commit of data began
    id INTEGER PRIMARY KEY,
    target TEXT NOT NULL,           -- the settings file
    dataset TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    time REAL NOT NULL
);
CREATE UNIQUE INDEX one_run_a_commit ON triggered (target, dataset, commit_id);

CREATE TABLE ends (                 -- where each curve of a run ended, found by its value
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step TEXT NOT NULL,
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    value REAL,
    PRIMARY KEY (run, step, name)
) WITHOUT ROWID;
CREATE INDEX ends_by_value ON ends (name, value, run);

CREATE TABLE remarks (              -- what people say of runs
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,             -- tag or note
    said TEXT NOT NULL,
    actor TEXT NOT NULL,
    time REAL NOT NULL,
    PRIMARY KEY (run, kind, said)
) WITHOUT ROWID;
CREATE INDEX remarks_by_text ON remarks (kind, said);

CREATE TABLE given (                -- settings and parameters, once for all runs that had the same
    digest TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,            -- as JSON; empty: too long to be kept
    PRIMARY KEY (digest, name, value)
) WITHOUT ROWID;
CREATE INDEX given_by_name ON given (name, value, digest);
