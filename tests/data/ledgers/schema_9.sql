-- A ledger of schema 9, as raypipe of that time made it.
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    status TEXT NOT NULL,
    created REAL NOT NULL,
    ended REAL,
    record TEXT NOT NULL,
    error TEXT,
    backwards TEXT NOT NULL DEFAULT ''
);
CREATE TABLE results (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    live INTEGER NOT NULL DEFAULT 1,
    superseded TEXT,
    project TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    step TEXT NOT NULL,
    root TEXT NOT NULL,
    explanation TEXT NOT NULL,
    run TEXT NOT NULL,
    seconds REAL NOT NULL,
    created REAL NOT NULL,
    expires REAL
);
CREATE TABLE model_versions (
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    bundle TEXT NOT NULL,
    created REAL NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (model, version),
    UNIQUE (model, bundle)
);
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE run_steps (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    key TEXT,
    state TEXT NOT NULL,
    PRIMARY KEY (run, name)
);
CREATE TABLE uses (
    project TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    step TEXT NOT NULL,
    key TEXT NOT NULL,
    run TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (project, pipeline, step, key)
) WITHOUT ROWID;
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
    reason TEXT NOT NULL,
    error TEXT
);
CREATE TABLE result_artifacts (
    result INTEGER NOT NULL REFERENCES results (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    PRIMARY KEY (result, position)
) WITHOUT ROWID;
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
    record TEXT NOT NULL,
    UNIQUE (project, pipeline, step, evidence)
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
    back INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE looks (
    id INTEGER PRIMARY KEY,
    dataset TEXT NOT NULL,
    run TEXT NOT NULL,
    step TEXT NOT NULL,
    time REAL NOT NULL
);
CREATE TABLE routes (
    id INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    shares TEXT NOT NULL,
    actor TEXT NOT NULL,
    time REAL NOT NULL
);
CREATE TABLE captures (
    id INTEGER PRIMARY KEY,
    project TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    evidence TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    row_count INTEGER NOT NULL,
    actor TEXT NOT NULL,
    time REAL NOT NULL,
    UNIQUE (project, pipeline, evidence)
);
CREATE TABLE claims (
    key TEXT NOT NULL,
    owner TEXT NOT NULL,
    shared INTEGER NOT NULL,
    beat INTEGER NOT NULL,
    PRIMARY KEY (key, owner)
) WITHOUT ROWID;
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    due REAL NOT NULL,
    ended REAL,
    error TEXT
);
CREATE TABLE holds (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    note TEXT NOT NULL,
    actor TEXT NOT NULL,
    time REAL NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE verdicts (
    id INTEGER PRIMARY KEY,
    content TEXT NOT NULL,
    verdict TEXT NOT NULL,
    dataset TEXT NOT NULL,
    run TEXT NOT NULL,
    evidence TEXT NOT NULL,
    actor TEXT NOT NULL,
    note TEXT NOT NULL,
    time REAL NOT NULL
);
CREATE TABLE protections (
    dataset TEXT PRIMARY KEY,
    gate TEXT NOT NULL,
    action TEXT NOT NULL,
    server TEXT NOT NULL,
    actor TEXT NOT NULL,
    time REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE refusals (
    id INTEGER PRIMARY KEY,
    dataset TEXT NOT NULL,
    event TEXT NOT NULL,
    source TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    time REAL NOT NULL
);
CREATE TABLE triggered (
    id INTEGER PRIMARY KEY,
    target TEXT NOT NULL,
    dataset TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    time REAL NOT NULL
);
CREATE TABLE ends (
            run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            step TEXT NOT NULL,
            name TEXT NOT NULL,
            at INTEGER NOT NULL,
            value REAL,
            PRIMARY KEY (run, step, name)
        ) WITHOUT ROWID;
CREATE TABLE remarks (
            run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            kind TEXT NOT NULL,
            said TEXT NOT NULL,
            actor TEXT NOT NULL,
            time REAL NOT NULL,
            PRIMARY KEY (run, kind, said)
        ) WITHOUT ROWID;
INSERT INTO "runs" VALUES('20251001-080000-000001','mine','flow','succeeded',1760086400.0,1760000000.0,'{"id":"20251001-080000-000001","project":"mine","pipeline":"flow","status":"running","created":1760086400.0,"actor":{"user":"ann","host":"laptop","name":"Ann"},"ended":null,"parameters":{"target":"flow.py"},"settings":null,"commits":{"local://a/main":"c1"},"error":null}',NULL,'100000-000080-10015202');
INSERT INTO "runs" VALUES('20251002-080000-000002','mine','flow','failed',1760172800.0,1760000000.0,'{"id":"20251002-080000-000002","project":"mine","pipeline":"flow","status":"running","created":1760172800.0,"actor":{"user":"ann","host":"laptop","name":"Ann"},"ended":null,"parameters":{"target":"flow.py","parameters":{"rate":"0.5"}},"settings":{"name":"flow","training":{"epochs":3,"model":{"hidden":[64,32]}}},"commits":{"local://a/main":"c2"},"error":null}','{"kind":"ValueError"}','200000-000080-20015202');
INSERT INTO "runs" VALUES('20251003-080000-000003','mine','flow','running',1760259200.0,NULL,'{"id":"20251003-080000-000003","project":"mine","pipeline":"flow","status":"running","created":1760259200.0,"actor":{"user":"ann","host":"laptop","name":"Ann"},"ended":null,"parameters":{"target":"flow.py"},"settings":null,"commits":{"local://a/main":"c3"},"error":null}',NULL,'300000-000080-30015202');
INSERT INTO "results" VALUES(1,'k1',1,NULL,'mine','flow','load','r1','{"fingerprint":"f1","parameters":{"rows":"p1"},"inputs":{},"environment":{},"shown":{}}','20251001-080000-000001',1.5,1760000000.0,NULL);
INSERT INTO "results" VALUES(2,'k2',0,'lost artifact','mine','flow','load','r2','{"fingerprint":"f1","parameters":{"rows":"p1"},"inputs":{},"environment":{},"shown":{}}','20251002-080000-000002',1.5,1760000000.0,NULL);
INSERT INTO "results" VALUES(3,'k2',1,NULL,'mine','flow','load','r3','{"fingerprint":"f1","parameters":{"rows":"p1"},"inputs":{},"environment":{},"shown":{}}','20251002-080000-000002',1.5,1760000000.0,NULL);
INSERT INTO "model_versions" VALUES('delay','1.0.0','b1',1760000000.0,'{"model":"delay","version":"1.0.0","bundle":"b1","candidate":"c","evaluation":"e1","run":"20251001-080000-000001","created":1760000000.0,"actor":{"user":"ann","host":"laptop","name":"Ann"},"changelog":{},"lineage":{},"compared_with":null,"value":""}');
INSERT INTO "model_versions" VALUES('delay','1.1.0','b2',1760000000.0,'{"model":"delay","version":"1.1.0","bundle":"b2","candidate":"c","evaluation":"e1","run":"20251001-080000-000001","created":1760000000.0,"actor":{"user":"ann","host":"laptop","name":"Ann"},"changelog":{},"lineage":{},"compared_with":null,"value":""}');
INSERT INTO "meta" VALUES('schema','9');
INSERT INTO "run_steps" VALUES('20251001-080000-000001',0,'load','k1','{"name":"load","action":"execute","reason":{"kind":"new","what":"","detail":""},"digest":"r1","seconds":null,"key":"k1"}');
INSERT INTO "run_steps" VALUES('20251001-080000-000001',1,'train',NULL,'{"name":"train","action":"open","reason":{"kind":"upstream","what":"","detail":""},"digest":null,"seconds":null,"key":null}');
INSERT INTO "run_steps" VALUES('20251002-080000-000002',0,'load','k2','{"name":"load","action":"execute","reason":{"kind":"new","what":"","detail":""},"digest":"r1","seconds":null,"key":"k2"}');
INSERT INTO "run_steps" VALUES('20251003-080000-000003',0,'load','k1','{"name":"load","action":"hit","reason":{"kind":"new","what":"","detail":""},"digest":"r1","seconds":null,"key":"k1"}');
INSERT INTO "uses" VALUES('mine','flow','load','k1','20251003-080000-000003',1760259200.0);
INSERT INTO "uses" VALUES('mine','flow','load','k2','20251002-080000-000002',1760172800.0);
INSERT INTO "executions" VALUES(1,'20251001-080000-000001','load','k1',1,'succeeded',1760000000.0,1760000000.0,'laptop','new',NULL);
INSERT INTO "result_artifacts" VALUES(1,0,'r1',10,1700000000123456789);
INSERT INTO "result_artifacts" VALUES(2,0,'r2',10,1700000000123456789);
INSERT INTO "result_artifacts" VALUES(3,0,'r3',10,1700000000123456789);
INSERT INTO "fingerprints" VALUES('f1','{"symbols":{"m:load":"s1"},"packages":{"numpy":"2.4"},"widened":[]}');
INSERT INTO "symbol_sources" VALUES('s1','def load():
    return ''it''''s; -- no comment''');
INSERT INTO "metrics" VALUES('20251001-080000-000001','train','loss',0,0.5,5.0);
INSERT INTO "metrics" VALUES('20251001-080000-000001','train','loss',1,NULL,5.0);
INSERT INTO "reviews" VALUES('abc123','mine','flow','accept','e1','approved',1.0,'{"id":"abc123","project":"mine","pipeline":"flow","step":"accept","run":"20251003-080000-000003","evidence":"e1","status":"approved","created":1.0,"actor":{"user":"ann","host":"laptop","name":"Ann"},"note":"fine","decided":1760000000.0}');
INSERT INTO "aliases" VALUES('delay','champion','1.0.0');
INSERT INTO "alias_history" VALUES(1,'delay','champion','1.0.0','{"user":"ann","host":"laptop","name":"Ann"}',1760000000.0,0);
INSERT INTO "alias_history" VALUES(2,'delay','champion','1.1.0','{"user":"ann","host":"laptop","name":"Ann"}',1760000000.0,0);
INSERT INTO "alias_history" VALUES(3,'delay','champion','1.0.0','{"user":"ann","host":"laptop","name":"Ann"}',1760000000.0,1);
INSERT INTO "looks" VALUES(1,'d1','20251001-080000-000001','evaluate',1760000000.0);
INSERT INTO "routes" VALUES(1,'delay','{"1.0.0":0.5,"1.1.0":0.5}','{"user":"ann","host":"laptop","name":"Ann"}',1760000000.0);
INSERT INTO "captures" VALUES(1,'mine','flow','x','c9',7,'{"user":"ann","host":"laptop","name":"Ann"}',4.0);
INSERT INTO "claims" VALUES('run-20251003-080000-000003','a1.0 {"host": "laptop", "machine": "m", "pid": 1, "started": 1, "lapse": 30.0}',0,1760000000000);
INSERT INTO "outbox" VALUES(1,'k1','notify','{}','delivered',1,1760000000.0,1760000000.0,1760000001.0,NULL);
INSERT INTO "holds" VALUES('run','20251001-080000-000001','for the report','{"user":"ann","host":"laptop","name":"Ann"}',1760000000.0);
INSERT INTO "verdicts" VALUES(1,'x1','pass','local://flights/main','20251001-080000-000001','e1','{"user":"ann","host":"laptop","name":"Ann"}','',1760000000.0);
INSERT INTO "protections" VALUES('local://flights/main','','a1','','{"user":"ann","host":"laptop","name":"Ann"}',1760000000.0);
INSERT INTO "refusals" VALUES(1,'local://flights/main','pre-merge','work','c1','not validated',1760000000.0);
INSERT INTO "triggered" VALUES(1,'flights.yaml','local://flights/main','c1',1760000000.0);
INSERT INTO "ends" VALUES('20251001-080000-000001','train','loss',1,NULL);
CREATE INDEX runs_by_time ON runs (created DESC, id DESC);
CREATE INDEX runs_by_project ON runs (project, created DESC, id DESC);
CREATE INDEX runs_by_end ON runs (backwards);
CREATE INDEX runs_under_way ON runs (created) WHERE status = 'running';
CREATE INDEX run_steps_by_position ON run_steps (run, position);
CREATE INDEX uses_by_time ON uses (project, pipeline, step, at DESC);
CREATE INDEX uses_by_key ON uses (key);
CREATE INDEX uses_by_run ON uses (run);
CREATE INDEX executions_by_run ON executions (run, step);
CREATE UNIQUE INDEX one_live_result_a_key ON results (key) WHERE live = 1;
CREATE INDEX results_by_key ON results (key);
CREATE INDEX results_by_step ON results (project, pipeline, step, id DESC);
CREATE INDEX results_by_run ON results (run);
CREATE INDEX result_artifacts_by_digest ON result_artifacts (digest);
CREATE INDEX reviews_by_time ON reviews (created DESC, id);
CREATE INDEX alias_history_by_model ON alias_history (model, id DESC);
CREATE UNIQUE INDEX one_look_a_step ON looks (dataset, run, step);
CREATE INDEX routes_by_model ON routes (model, id DESC);
CREATE INDEX outbox_by_status ON outbox (status, id);
CREATE UNIQUE INDEX one_verdict_on_an_evidence ON verdicts (content, verdict, evidence);
CREATE INDEX verdicts_of_people ON verdicts (id) WHERE verdict = 'accepted';
CREATE INDEX refusals_by_dataset ON refusals (dataset, id DESC);
CREATE UNIQUE INDEX one_run_a_commit ON triggered (target, dataset, commit_id);
CREATE INDEX ends_by_value ON ends (name, value, run);
CREATE INDEX remarks_by_text ON remarks (kind, said);
