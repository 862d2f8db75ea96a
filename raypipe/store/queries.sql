-- Each query has a name and a line that says what it is for.

-- add_run: a run begins
INSERT INTO runs (id, project, pipeline, status, created, record) VALUES (:id, :project, :pipeline, :status, :created, :record);

-- end_run: a run comes to rest; a cancelled one stays so
UPDATE runs SET status = :status, ended = :ended, error = :error WHERE id = :id AND status != 'cancelled';

-- list_runs: the newest runs
SELECT * FROM runs
WHERE (:project IS NULL OR project = :project) AND (:pipeline IS NULL OR pipeline = :pipeline)
AND (:status IS NULL OR status = :status) AND (:since IS NULL OR created >= :since)
ORDER BY created DESC, id DESC LIMIT :limit;

-- keep_code: the code that a run uses
UPDATE runs SET record = json_set(record, '$.code', :code) WHERE id = :id;

-- kept_code: every snapshot of code that a run used
SELECT DISTINCT json_extract(record, '$.code') AS code FROM runs;

-- rename_runs: runs of targets inside a folder belong to a project of another name
UPDATE runs SET project = :new, record = json_set(record, '$.project', :new)
WHERE project = :old AND instr(json_extract(record, '$.parameters.target'), :inside) = 1;

-- rename_results: results belong to the project of their run
UPDATE results SET project = :new
WHERE project = :old AND run IN (SELECT id FROM runs WHERE project = :new);

-- rename_reviews: reviews belong to the project of their run
UPDATE OR IGNORE reviews SET project = :new, record = json_set(record, '$.project', :new)
WHERE project = :old AND json_extract(record, '$.run') IN (SELECT id FROM runs WHERE project = :new);

-- find_runs: runs whose id is, starts or ends so, the first of these first
SELECT * FROM runs WHERE substr(id, 1, length(:id)) = :id OR substr(id, -length(:id)) = :id
ORDER BY id != :id LIMIT 2;

-- save_step: what became of a step
INSERT INTO run_steps (run, position, name, key, state)
SELECT :run, coalesce(max(position) + 1, 0), :name, :key, :state FROM run_steps WHERE run = :run
ON CONFLICT (run, name) DO UPDATE SET key = excluded.key, state = excluded.state;

-- run_steps: the steps of a run in their order
SELECT state FROM run_steps WHERE run = :run ORDER BY position;

-- live_result: the result that a key finds
SELECT * FROM results WHERE key = :key AND live = 1;

-- used_results: results of a step that runs of a pipeline used or made, once each, last used first
WITH uses AS (
    SELECT run_steps.run AS run, key, runs.created AS at
    FROM run_steps JOIN runs ON runs.id = run_steps.run
    WHERE name = :step AND project = :project AND pipeline = :pipeline
    UNION ALL
    SELECT results.run, key, runs.created FROM results JOIN runs ON runs.id = results.run
    WHERE results.step = :step AND results.project = :project AND results.pipeline = :pipeline
)
SELECT results.*, uses.run AS used_by, max(uses.at) AS used_at
FROM uses JOIN results ON results.key = uses.key
GROUP BY results.id ORDER BY used_at DESC, results.id DESC LIMIT :limit;

-- add_execution: an attempt at a step begins
INSERT INTO executions (run, step, key, attempt, status, started, host, reason)
SELECT :run, :step, :key, 1 + count(*), 'running', :started, :host, :reason FROM executions WHERE run = :run AND step = :step;

-- end_execution: how an attempt ended, if that is not known
UPDATE executions SET status = :status, ended = :ended, error = :error WHERE id = :id AND status = 'running';

-- end_executions: the attempts of a run that ended without a word
UPDATE executions SET status = :status, ended = :ended, error = :error WHERE run = :run AND status = 'running';

-- running: runs that did not come to rest
SELECT * FROM runs WHERE status = 'running' ORDER BY created;

-- executions: the attempts of a run
SELECT * FROM executions WHERE run = :run ORDER BY id;

-- result_artifacts: what a result is made of
SELECT digest, size, mtime_ns FROM result_artifacts WHERE result = :result ORDER BY position;

-- add_result: a result is recorded, unless its key has a live one
INSERT INTO results (key, project, pipeline, step, root, explanation, run, seconds, created, expires)
VALUES (:key, :project, :pipeline, :step, :root, :explanation, :run, :seconds, :created, :expires);

-- step_seconds: how long a step took when its last results were made
SELECT seconds FROM results WHERE project = :project AND pipeline = :pipeline AND step = :step
ORDER BY id DESC LIMIT :limit;

-- result_of: a result of a key, the live one first
SELECT * FROM results WHERE key = :key ORDER BY live DESC, id DESC LIMIT 1;

-- add_result_artifact: one artifact of a result
INSERT INTO result_artifacts (result, position, digest, size, mtime_ns) VALUES (:result, :position, :digest, :size, :mtime_ns);

-- supersede: a result goes out of use, and stays for lineage
UPDATE results SET live = 0, superseded = :why WHERE key = :key AND live = 1;

-- run_of: the pipeline that a run belongs to
SELECT project, pipeline FROM runs WHERE id = :run;

-- add_fingerprint: the parts of a fingerprint
INSERT OR IGNORE INTO fingerprints (digest, parts) VALUES (:digest, :parts);

-- fingerprint: the parts of a fingerprint
SELECT parts FROM fingerprints WHERE digest = :digest;

-- add_source: the text of a symbol
INSERT OR IGNORE INTO symbol_sources (digest, source) VALUES (:digest, :source);

-- source: the text of a symbol
SELECT source FROM symbol_sources WHERE digest = :digest;

-- add_metric: a point of a curve
INSERT OR REPLACE INTO metrics (run, step, name, at, value, time) VALUES (:run, :step, :name, :at, :value, :time);

-- metrics: the curves of a run, or of one of its steps
SELECT name, at, value, time FROM metrics WHERE run = :run AND (:step IS NULL OR step = :step) ORDER BY step, name, at;

-- add_review: a decision is asked for
INSERT INTO reviews (id, project, pipeline, step, evidence, status, created, record)
VALUES (:id, :project, :pipeline, :step, :evidence, :status, :created, :record);

-- find_review: the decision on a piece of evidence
SELECT record FROM reviews WHERE project = :project AND pipeline = :pipeline AND step = :step AND evidence = :evidence;

-- review: one review
SELECT record FROM reviews WHERE id = :id;

-- find_reviews: reviews whose id is or starts so, the first of these first
SELECT id, record FROM reviews WHERE substr(id, 1, length(:id)) = :id ORDER BY id != :id LIMIT 2;

-- list_reviews: reviews, newest first
SELECT record FROM reviews WHERE :status IS NULL OR status = :status ORDER BY created DESC, id;

-- decide_review: a decision is made, if none was
UPDATE reviews SET status = :status, record = :record WHERE id = :id AND status = 'open';

-- add_version: a model version
INSERT INTO model_versions (model, version, bundle, created, record) VALUES (:model, :version, :bundle, :created, :record);

-- version_of_bundle: the version that a bundle has
SELECT record FROM model_versions WHERE model = :model AND bundle = :bundle;

-- versions: a model's versions, newest first
SELECT record FROM model_versions WHERE model = :model ORDER BY created DESC, rowid DESC;

-- models: names of models
SELECT DISTINCT model FROM model_versions ORDER BY model;

-- set_alias: an alias points to a version
INSERT INTO aliases (model, alias, version) VALUES (:model, :alias, :version)
ON CONFLICT (model, alias) DO UPDATE SET version = excluded.version;

-- add_alias_change: who moved an alias
INSERT INTO alias_history (model, alias, version, actor, time, back)
VALUES (:model, :alias, :version, :actor, :time, :back);

-- alias_history: where a model's aliases were pointed to, newest first
SELECT alias, version, actor, time, back FROM alias_history WHERE model = :model ORDER BY id DESC;

-- aliases: where a model's aliases point
SELECT alias, version FROM aliases WHERE model = :model ORDER BY alias;

-- add_look: the analysis split is looked at
INSERT INTO looks (dataset, run, step, time)
SELECT :dataset, :run, :step, :time
WHERE NOT EXISTS (SELECT 1 FROM looks WHERE dataset = :dataset AND run = :run AND step = :step);

-- looks: how often an analysis split was looked at
SELECT count(*) FROM looks WHERE dataset = :dataset;

-- live_artifacts: every artifact that a live result is made of
SELECT DISTINCT digest FROM result_artifacts JOIN results ON results.id = result WHERE live = 1;

-- add_route: how a model's requests are divided from now on
INSERT INTO routes (model, shares, actor, time) VALUES (:model, :shares, :actor, :time);

-- routes: how a model's requests were divided, newest first
SELECT shares, actor, time FROM routes WHERE model = :model ORDER BY id DESC;

-- add_capture: captured rows became a part of a dataset
INSERT INTO captures (project, pipeline, evidence, commit_id, row_count, actor, time)
VALUES (:project, :pipeline, :evidence, :commit_id, :row_count, :actor, :time)
ON CONFLICT DO NOTHING;

-- captures: captured rows that became a part of a pipeline's dataset, newest first
SELECT evidence, commit_id, row_count, actor, time FROM captures
WHERE project = :project AND pipeline = :pipeline ORDER BY id DESC;
