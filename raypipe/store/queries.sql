-- Each query has a name and a line that says what it is for.

-- add_run: a run begins
INSERT INTO runs (id, project, pipeline, status, created, record, backwards, given)
VALUES (:id, :project, :pipeline, :status, :created, :record, :backwards, :given) ON CONFLICT (id) DO NOTHING;

-- is_given: whether what a run was given is known
SELECT digest FROM given WHERE digest = :digest LIMIT 1;

-- add_given: a value that runs were given
INSERT INTO given (digest, name, value) VALUES (:digest, :name, :value) ON CONFLICT (digest, name, value) DO NOTHING;

-- given_values: what runs were given by a name, each value once
SELECT DISTINCT value FROM given WHERE name = :name LIMIT :limit;

-- given_with: what has one of these values by a name
SELECT DISTINCT digest FROM given WHERE name = :name AND value IN (SELECT value FROM json_each(:values)) LIMIT :limit;

-- count_given: how many runs were given one of these, counted so far
SELECT count(*) AS runs FROM (
    SELECT 1 FROM runs WHERE given IN (SELECT value FROM json_each(:given)) LIMIT :limit
) AS named;

-- runs_given: runs that were given one of these, newest first
SELECT id FROM runs WHERE given IN (SELECT value FROM json_each(:given)) ORDER BY created DESC, id DESC;

-- given_of_runs: what runs were given
SELECT DISTINCT given FROM runs WHERE id IN (SELECT value FROM json_each(:runs));

-- forget_given: of this, what no run that there is was given
DELETE FROM given WHERE digest IN (SELECT value FROM json_each(:given))
AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.given = given.digest);

-- end_run: a run comes to rest; a cancelled one stays so
UPDATE runs SET status = :status, ended = :ended, error = :error WHERE id = :id AND status != 'cancelled';

-- end_lost: a run whose process is gone or stands still, if it did not come to rest meanwhile
UPDATE runs SET status = :status, ended = :ended, error = :error WHERE id = :id AND status = 'running';

-- cancel_run: a run that is under way, or waits, is cancelled
UPDATE runs SET status = :status, ended = :ended, error = :error WHERE id = :id AND status IN ('running', 'waiting');

-- standing: where a run stands
SELECT status, error FROM runs WHERE id = :id;

-- list_runs: the newest runs
SELECT * FROM runs ORDER BY created DESC, id DESC LIMIT :limit;

-- list_runs_where: the newest runs that are so; an empty text asks for nothing
SELECT * FROM runs
WHERE (:project = '' OR project = :project) AND (:pipeline = '' OR pipeline = :pipeline)
AND (:status = '' OR status = :status) AND created >= :since
ORDER BY created DESC, id DESC LIMIT :limit;

-- run_record: a run as it was entered
SELECT record FROM runs WHERE id = :id;

-- set_run_record: more is known of a run
UPDATE runs SET record = :record WHERE id = :id;

-- records_of_newest: the newest runs of each pipeline, and held ones
WITH newest AS (
    SELECT id, record, row_number() OVER (PARTITION BY project, pipeline ORDER BY created DESC, id DESC) AS place FROM runs
) SELECT record FROM newest WHERE place <= :runs OR id IN (SELECT name FROM holds WHERE kind = 'run');

-- list_runs_of: the newest runs of a project
SELECT * FROM runs WHERE project = :project ORDER BY created DESC, id DESC LIMIT :limit;

-- runs_of: every run of a project
SELECT id, record FROM runs WHERE project = :project;

-- rename_run: a run belongs to a project of another name
UPDATE runs SET project = :new, record = :record WHERE id = :id;

-- rename_results: results belong to the project of their run
UPDATE results SET project = :new
WHERE project = :old AND run IN (SELECT id FROM runs WHERE project = :new);

-- reviews_of: every review of a project
SELECT id, record FROM reviews WHERE project = :project;

-- rename_review: a review belongs to a project of another name, unless that has one like it
UPDATE reviews SET project = :new, record = :record
WHERE id = :id AND NOT EXISTS (
    SELECT 1 FROM reviews AS other WHERE other.project = :new AND other.pipeline = reviews.pipeline
    AND other.step = reviews.step AND other.evidence = reviews.evidence
);

-- rename_uses: uses belong to the project of their run
INSERT INTO uses (project, pipeline, step, key, run, at)
SELECT :new, pipeline, step, key, run, at FROM uses
WHERE project = :old AND run IN (SELECT id FROM runs WHERE project = :new)
ON CONFLICT (project, pipeline, step, key) DO UPDATE SET run = excluded.run, at = excluded.at
WHERE excluded.at >= uses.at;

-- forget_renamed_uses: uses that were given to another project
DELETE FROM uses WHERE project = :old AND run IN (SELECT id FROM runs WHERE project = :new);

-- run: one run
SELECT * FROM runs WHERE id = :id;

-- find_runs: runs whose id is, starts or ends so, the first of these first
SELECT * FROM (
    SELECT * FROM (SELECT * FROM runs WHERE id >= :id AND id < :after ORDER BY id LIMIT 2) AS a
    UNION
    SELECT * FROM (
        SELECT * FROM runs WHERE backwards >= :backwards AND backwards < :afterwards LIMIT 2
    ) AS b
) AS named ORDER BY id != :id LIMIT 2;

-- save_step: what became of a step
INSERT INTO run_steps (run, position, name, key, state)
SELECT :run, coalesce(max(position) + 1, 0), :name, :key, :state FROM run_steps WHERE run = :run
ON CONFLICT (run, name) DO UPDATE SET key = excluded.key, state = excluded.state;

-- run_steps: the steps of a run in their order
SELECT state FROM run_steps WHERE run = :run ORDER BY position;

-- live_result: the result that a key finds
SELECT * FROM results WHERE key = :key AND live = 1;

-- live_results: the results that keys find
SELECT * FROM results WHERE key IN (SELECT value FROM json_each(:keys)) AND live = 1;

-- add_use: a run used or made what a key of a step finds
INSERT INTO uses (project, pipeline, step, key, run, at)
SELECT project, pipeline, :step, :key, id, created FROM runs WHERE id = :run
ON CONFLICT (project, pipeline, step, key) DO UPDATE SET run = excluded.run, at = excluded.at
WHERE excluded.at >= uses.at;

-- used_results: results of a step that runs of a pipeline used or made, once each, last used first
SELECT results.*, used.run AS used_by FROM (
    SELECT key, run, at FROM uses
    WHERE project = :project AND pipeline = :pipeline AND step = :step
    AND EXISTS (SELECT 1 FROM results WHERE results.key = uses.key)
    ORDER BY at DESC LIMIT :limit
) AS used JOIN results ON results.key = used.key
ORDER BY used.at DESC, results.id DESC LIMIT :limit;

-- add_execution: an attempt at a step begins
INSERT INTO executions (run, step, key, attempt, status, started, host, reason)
SELECT :run, :step, :key, 1 + count(*), 'running', :started, :host, :reason FROM executions WHERE run = :run AND step = :step;

-- begun: the attempt at a step of a run that is under way
SELECT id FROM executions WHERE run = :run AND step = :step AND key = :key AND status = 'running'
ORDER BY id DESC LIMIT 1;

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

-- results_artifacts: what results are made of
SELECT result, digest, size, mtime_ns FROM result_artifacts
WHERE result IN (SELECT value FROM json_each(:results)) ORDER BY result, position;

-- add_result: a result is recorded, unless its key has a live one
INSERT INTO results (key, project, pipeline, step, root, explanation, run, seconds, created, expires)
SELECT :key, coalesce(max(project), ''), coalesce(max(pipeline), ''), :step, :root, :explanation, :run, :seconds, :created, :expires
FROM runs WHERE id = :run;

-- step_seconds: how long a step took when its last results were made
SELECT seconds FROM results WHERE project = :project AND pipeline = :pipeline AND step = :step
ORDER BY id DESC LIMIT :limit;

-- result_of: a result of a key, the live one first
SELECT * FROM results WHERE key = :key ORDER BY live DESC, id DESC LIMIT 1;

-- add_result_artifact: one artifact of a result
INSERT INTO result_artifacts (result, position, digest, size, mtime_ns) VALUES (:result, :position, :digest, :size, :mtime_ns);

-- supersede: a result goes out of use, and stays for lineage
UPDATE results SET live = 0, superseded = :why WHERE key = :key AND live = 1;

-- add_fingerprint: the parts of a fingerprint
INSERT INTO fingerprints (digest, parts) VALUES (:digest, :parts) ON CONFLICT (digest) DO NOTHING;

-- fingerprint: the parts of a fingerprint
SELECT parts FROM fingerprints WHERE digest = :digest;

-- add_source: the text of a symbol
INSERT INTO symbol_sources (digest, source) VALUES (:digest, :source) ON CONFLICT (digest) DO NOTHING;

-- source: the text of a symbol
SELECT source FROM symbol_sources WHERE digest = :digest;

-- add_metric: a point of a curve
INSERT INTO metrics (run, step, name, at, value, time) VALUES (:run, :step, :name, :at, :value, :time)
ON CONFLICT (run, step, name, at) DO UPDATE SET value = excluded.value, time = excluded.time;

-- add_end: where a curve of a run has come to
INSERT INTO ends (run, step, name, at, value)
SELECT id, :step, :name, :at, :value FROM runs WHERE id = :run
ON CONFLICT (run, step, name) DO UPDATE SET at = excluded.at, value = excluded.value
WHERE excluded.at >= ends.at;

-- add_found_ends: where the curves of what a run found ended, when that was made
INSERT INTO ends (run, step, name, at, value)
SELECT used.run, made.step, made.name, made.at, made.value FROM run_steps AS used
JOIN results ON results.key = used.key AND results.live = 1 AND results.run != used.run
JOIN ends AS made ON made.run = results.run AND made.step = used.name
WHERE used.run = :run
ON CONFLICT (run, step, name) DO NOTHING;

-- ends: where the curves of runs ended
SELECT run, step, name, value FROM ends WHERE run IN (SELECT value FROM json_each(:runs)) ORDER BY run, step, name;

-- runs_before: runs older than one, newest first; an empty pipeline asks for any
SELECT * FROM runs WHERE (created, id) < (:created, :id) AND (:pipeline = '' OR pipeline = :pipeline)
ORDER BY created DESC, id DESC LIMIT :limit;

-- runs_given_before: the same of those that were given one of these
SELECT * FROM runs WHERE (created, id) < (:created, :id) AND (:pipeline = '' OR pipeline = :pipeline)
AND given || '' IN (SELECT value FROM json_each(:given))
ORDER BY created DESC, id DESC LIMIT :limit;

-- one_end: whether a curve of a name ended; an empty step asks for any
SELECT run FROM ends WHERE name = :name AND (:step = '' OR step = :step) LIMIT 1;

-- count_ends: how many curves of a name ended within bounds, counted so far
SELECT count(*) AS ends FROM (
    SELECT 1 FROM ends WHERE name = :name AND value >= :low AND value <= :high LIMIT :limit
) AS named;

-- runs_ended_within: runs with a curve of a name that ended within bounds, newest first
SELECT id FROM runs WHERE id IN (
    SELECT run FROM ends WHERE name = :name AND value >= :low AND value <= :high
) ORDER BY created DESC, id DESC;

-- runs_given_ended_within: those of them that were given one of these
SELECT id FROM runs WHERE id IN (
    SELECT run FROM ends WHERE name = :name AND value >= :low AND value <= :high
) AND given || '' IN (SELECT value FROM json_each(:given)) ORDER BY created DESC, id DESC;

-- ends_up: curves of a name by where they ended, least first, after one of them
SELECT run, value FROM ends WHERE name = :name AND (value, run) > (:value, :run)
ORDER BY value, run LIMIT :limit;

-- ends_down: curves of a name by where they ended, most first, after one of them
SELECT run, value FROM ends WHERE name = :name AND (value, run) < (:value, :run)
ORDER BY value DESC, run DESC LIMIT :limit;

-- runs_named: runs by their ids
SELECT * FROM runs WHERE id IN (SELECT value FROM json_each(:runs));

-- add_remark: somebody says something of a run, once
INSERT INTO remarks (run, kind, said, actor, time) VALUES (:run, :kind, :said, :actor, :time)
ON CONFLICT (run, kind, said) DO NOTHING;

-- remove_remark: it is taken back
DELETE FROM remarks WHERE run = :run AND kind = :kind AND said = :said;

-- remarks: what is said of runs, oldest first
SELECT * FROM remarks WHERE run IN (SELECT value FROM json_each(:runs)) ORDER BY time, said;

-- runs_said: runs of which just this is said, newest first
SELECT id FROM runs WHERE id IN (SELECT run FROM remarks WHERE kind = :kind AND said = :said)
ORDER BY created DESC, id DESC;

-- metrics: the curves of a run
SELECT name, at, value, time FROM metrics WHERE run = :run ORDER BY step, name, at;

-- metrics_of: the curves of one step of a run
SELECT name, at, value, time FROM metrics WHERE run = :run AND step = :step ORDER BY name, at;

-- add_review: a decision is asked for
INSERT INTO reviews (id, project, pipeline, step, evidence, status, created, record)
VALUES (:id, :project, :pipeline, :step, :evidence, :status, :created, :record);

-- find_review: the decision on a piece of evidence
SELECT record FROM reviews WHERE project = :project AND pipeline = :pipeline AND step = :step AND evidence = :evidence;

-- review: one review
SELECT record FROM reviews WHERE id = :id;

-- find_reviews: reviews whose id is or starts so, the first of these first
SELECT id, record FROM reviews WHERE id >= :id AND id < :after ORDER BY id LIMIT 2;

-- list_reviews: reviews, newest first
SELECT record FROM reviews ORDER BY created DESC, id;

-- list_reviews_of: reviews of one status, newest first
SELECT record FROM reviews WHERE status = :status ORDER BY created DESC, id;

-- open_reviews_of: open reviews of one step of a pipeline
SELECT record FROM reviews
WHERE project = :project AND pipeline = :pipeline AND step = :step AND status = 'open';

-- set_review: a review is withdrawn, or asked for again, unless it was decided meanwhile
UPDATE reviews SET status = :status, created = :created, record = :record
WHERE id = :id AND status = :was;

-- who_waits: a run that waits for a review, or is under way and may come to it
SELECT id FROM runs WHERE project = :project AND pipeline = :pipeline AND (
    status = 'running' OR (status = 'waiting' AND EXISTS (
        SELECT 1 FROM run_steps WHERE run = runs.id AND name = :step AND key = :evidence
    ))
);

-- steps_with_keys: the steps of runs that have one of these keys
SELECT DISTINCT name, key FROM run_steps WHERE key IN (SELECT value FROM json_each(:keys));

-- forget_reviews: withdrawn reviews are removed
DELETE FROM reviews WHERE id IN (SELECT value FROM json_each(:names)) AND status = 'withdrawn';

-- decide_review: a decision is made, if none was
UPDATE reviews SET status = :status, record = :record WHERE id = :id AND status = 'open';

-- add_version: a model version
INSERT INTO model_versions (model, version, bundle, created, record) VALUES (:model, :version, :bundle, :created, :record);

-- version_of_bundle: the version that a bundle has
SELECT record FROM model_versions WHERE model = :model AND bundle = :bundle;

-- versions: a model's versions, newest first
SELECT record FROM model_versions WHERE model = :model ORDER BY created DESC;

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
INSERT INTO looks (dataset, run, step, time) VALUES (:dataset, :run, :step, :time)
ON CONFLICT (dataset, run, step) DO NOTHING;

-- looks: how often an analysis split was looked at
SELECT count(*) AS looks FROM looks WHERE dataset = :dataset;

-- live_artifacts: every artifact that a live result is made of
SELECT DISTINCT digest FROM result_artifacts JOIN results ON results.id = result WHERE live = 1;

-- run_ids: all runs
SELECT id FROM runs;

-- kept_artifacts: what live results are made of, and those that the newest runs of each pipeline, and held ones, made or used
WITH newest AS (
    SELECT id, row_number() OVER (PARTITION BY project, pipeline ORDER BY created DESC, id DESC) AS place FROM runs
), kept AS (
    SELECT id FROM newest WHERE place <= :runs UNION SELECT name AS id FROM holds WHERE kind = 'run'
)
SELECT digest FROM result_artifacts JOIN results ON results.id = result WHERE live = 1
UNION
SELECT digest FROM kept
JOIN results ON results.run = kept.id
JOIN result_artifacts ON result_artifacts.result = results.id
UNION
SELECT digest FROM kept
JOIN run_steps ON run_steps.run = kept.id
JOIN results ON results.key = run_steps.key AND replace(run_steps.state, results.root, '') != run_steps.state
JOIN result_artifacts ON result_artifacts.result = results.id;

-- live_keys: keys whose live results are made of an artifact
SELECT key FROM results JOIN result_artifacts ON results.id = result WHERE digest = :digest AND live = 1;

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

-- add_hold: a person keeps something from being removed
INSERT INTO holds (kind, name, note, actor, time) VALUES (:kind, :name, :note, :actor, :time)
ON CONFLICT DO NOTHING;

-- holds: what is kept from being removed, newest first
SELECT * FROM holds ORDER BY time DESC, kind, name;

-- remove_hold: it may be removed again
DELETE FROM holds WHERE kind = :kind AND name = :name;

-- every_version: every version of every model
SELECT record FROM model_versions;

-- keys_of_runs: what runs used or made
SELECT key FROM run_steps WHERE run IN (SELECT value FROM json_each(:runs)) AND key IS NOT NULL
UNION SELECT key FROM results WHERE run IN (SELECT value FROM json_each(:runs));

-- unused_results: results in use that expired, or that were made before a time and not used since
SELECT key FROM results WHERE live = 1 AND (
    expires < :expired OR (created < :before AND NOT EXISTS (
        SELECT 1 FROM uses WHERE uses.key = results.key AND at >= :before
    ))
);

-- superseded_results: results out of use that were made before a time
SELECT id, key FROM results WHERE live = 0 AND created < :before;

-- newest_runs: the newest runs of each pipeline
SELECT runs.* FROM runs JOIN (
    SELECT id, row_number() OVER (PARTITION BY project, pipeline ORDER BY created DESC, id DESC) AS place
    FROM runs
) AS placed ON placed.id = runs.id WHERE place <= :newest;

-- runs_of_results: who made a result that is in use, and who used it last
SELECT run, key FROM results WHERE live = 1
UNION SELECT uses.run, uses.key FROM uses JOIN results ON results.key = uses.key WHERE live = 1;

-- old_runs: runs that began before a time, and neither are under way nor wait for an open review
SELECT id FROM runs WHERE created < :before AND status != 'running' AND (
    status != 'waiting' OR (
        EXISTS (
            SELECT 1 FROM run_steps JOIN reviews ON step = name AND evidence = key
            WHERE run = runs.id AND reviews.project = runs.project AND reviews.pipeline = runs.pipeline
        ) AND NOT EXISTS (
            SELECT 1 FROM run_steps JOIN reviews ON step = name AND evidence = key
            WHERE run = runs.id AND reviews.project = runs.project AND reviews.pipeline = runs.pipeline
            AND reviews.status = 'open'
        )
    )
);

-- runs_with_curves: runs that began before a time and have points
SELECT id FROM runs WHERE created < :before AND EXISTS (SELECT 1 FROM metrics WHERE run = runs.id);

-- retire_results: results go out of use for want of use
UPDATE results SET live = 0, superseded = 'unused' WHERE key IN (SELECT value FROM json_each(:keys)) AND live = 1;

-- forget_results: results are removed, with what they are made of
DELETE FROM results WHERE id IN (SELECT value FROM json_each(:numbers)) AND live = 0;

-- forget_metrics: the curves of runs are removed
DELETE FROM metrics WHERE run IN (SELECT value FROM json_each(:runs));

-- forget_uses: what runs used is forgotten
DELETE FROM uses WHERE run IN (SELECT value FROM json_each(:runs));

-- forget_runs: runs are removed, with their steps and attempts
DELETE FROM runs WHERE id IN (SELECT value FROM json_each(:runs)) AND status != 'running'
AND (status != 'waiting' OR NOT EXISTS (
    SELECT 1 FROM run_steps JOIN reviews ON step = name AND evidence = key
    WHERE run = runs.id AND reviews.project = runs.project AND reviews.pipeline = runs.pipeline
    AND reviews.status = 'open'
));

-- explanations: what results are explained by
SELECT id, explanation FROM results WHERE id > :after ORDER BY id LIMIT :limit;

-- fingerprints: every fingerprint
SELECT digest, parts FROM fingerprints;

-- forget_fingerprints: fingerprints are removed
DELETE FROM fingerprints WHERE digest IN (SELECT value FROM json_each(:digests));

-- sources: every text of a symbol
SELECT digest FROM symbol_sources;

-- forget_sources: texts of symbols are removed
DELETE FROM symbol_sources WHERE digest IN (SELECT value FROM json_each(:digests));

-- add_effect: an effect is asked for, once a key
INSERT INTO outbox (key, kind, payload, status, created, due)
VALUES (:key, :kind, :payload, 'waiting', :created, :created)
ON CONFLICT DO NOTHING;

-- outbox: effects of a status, in the order in which they were asked for
SELECT * FROM outbox WHERE status = :status ORDER BY id;

-- old_effects: effects that came to their end before a time
SELECT id FROM outbox WHERE ended < :before AND status IN ('delivered', 'dropped');

-- old_given_up: effects that were given up before a time; an accepted capture's stays
SELECT id FROM outbox WHERE ended < :before AND status = 'given up' AND kind <> 'captured';

-- forget_effects: effects are removed
DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(:numbers));

-- effect: one effect
SELECT * FROM outbox WHERE key = :key;

-- begin_delivery: an attempt at an effect begins, unless another began or ended one since it was read
UPDATE outbox SET attempts = attempts + 1, due = :due
WHERE key = :key AND attempts = :attempts AND status = 'waiting';

-- delivered: an effect was carried out, whatever others came to
UPDATE outbox SET status = 'delivered', ended = :ended, error = NULL WHERE key = :key AND status != 'delivered';

-- not_delivered: an attempt at an effect came to nothing, and it waits or is given up
UPDATE outbox SET status = :status, ended = :ended, error = :error
WHERE key = :key AND attempts = :attempts AND status = 'waiting';

-- redo_effect: an effect that was given up, dropped or failed is due at once
UPDATE outbox SET status = 'waiting', attempts = 0, due = :due, ended = NULL
WHERE key = :key AND status != 'delivered';

-- drop_effect: an effect is never carried out
UPDATE outbox SET status = 'dropped', ended = :ended WHERE key = :key AND status IN ('waiting', 'given up');

-- claims_of: who holds a claim, alone or with others
SELECT * FROM claims WHERE key = :key;

-- every_claim: all that is held
SELECT * FROM claims;

-- add_claim: a process holds a claim
INSERT INTO claims (key, owner, shared, beat) VALUES (:key, :owner, :shared, :beat);

-- let_go: a process holds a claim no more
DELETE FROM claims WHERE key = :key AND owner = :owner;

-- drop_claim: a claim goes that did not move since it was looked at
DELETE FROM claims WHERE key = :key AND owner = :owner AND beat = :beat;

-- beat: holders of claims move
UPDATE claims SET beat = :beat WHERE owner IN (SELECT value FROM json_each(:owners)) AND beat < :beat;

-- add_verdict: something was said of data; the same again on the same evidence changes nothing
INSERT INTO verdicts (content, verdict, dataset, run, evidence, actor, note, time)
VALUES (:content, :verdict, :dataset, :run, :evidence, :actor, :note, :time)
ON CONFLICT DO NOTHING;

-- verdicts: what was said of data, newest first
SELECT * FROM verdicts WHERE content = :content ORDER BY id DESC;

-- accepted: what people let in
SELECT * FROM verdicts WHERE verdict = 'accepted' ORDER BY id;

-- protect: only validated data comes to a branch from now on
INSERT INTO protections (dataset, gate, action, server, actor, time)
VALUES (:dataset, :gate, :action, :server, :actor, :time)
ON CONFLICT (dataset) DO UPDATE SET
gate = excluded.gate, action = excluded.action, server = excluded.server, actor = excluded.actor,
time = excluded.time;

-- unprotect: whatever data comes to a branch again
DELETE FROM protections WHERE dataset = :dataset;

-- protections: branches that only validated data comes to
SELECT * FROM protections ORDER BY dataset;

-- add_refusal: a gate would not have something
INSERT INTO refusals (dataset, event, source, commit_id, reason, time)
VALUES (:dataset, :event, :source, :commit_id, :reason, :time);

-- refusals: what the gate of a dataset would not have, newest first
SELECT * FROM refusals WHERE dataset = :dataset ORDER BY id DESC LIMIT :limit;

-- forget_refusals: the oldest of many are forgotten
DELETE FROM refusals WHERE dataset = :dataset AND id NOT IN (
    SELECT id FROM refusals WHERE dataset = :dataset ORDER BY id DESC LIMIT :limit
);

-- add_triggered: a commit began a run of a target, once
INSERT INTO triggered (target, dataset, commit_id, time)
VALUES (:target, :dataset, :commit_id, :time) ON CONFLICT DO NOTHING;

-- triggered: whether a commit began a run of a target
SELECT time FROM triggered WHERE target = :target AND dataset = :dataset AND commit_id = :commit_id;

-- forget_triggered: the oldest of many are forgotten
DELETE FROM triggered WHERE target = :target AND dataset = :dataset AND id NOT IN (
    SELECT id FROM triggered WHERE target = :target AND dataset = :dataset
    ORDER BY id DESC LIMIT :limit
);
