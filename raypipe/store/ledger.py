"""The ledger in SQLite: runs, results, reviews, models; each method is one transaction."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from threading import RLock
from typing import Any, Literal, Self

from raypipe.engine.ports import Ledger
from raypipe.engine.records import (
    Actor,
    ArtifactStat,
    Explanation,
    Fingerprint,
    Json,
    Metric,
    Reason,
    Result,
    Review,
    RunRecord,
    RunStatus,
    StepState,
)
from raypipe.errors import NotFound, StoreError, UsageError
from raypipe.store.rows import ModelVersionRow

SCHEMA = 1
"""Number of the schema that this code writes."""
BUSY = 30_000
"""Milliseconds that a locked database is waited for."""


class SqliteLedger:
    """A ledger in one SQLite file (WAL, durable at each commit); safe for threads and processes."""

    def __init__(self, connection: sqlite3.Connection, now: Callable[[], float]) -> None:
        self._db = connection
        self._now = now
        self._lock = RLock()

    @classmethod
    def open(cls, path: Path, *, create: bool = True, now: Callable[[], float] = time.time) -> Self:
        """Open a ledger; where it is not there and not to be made.

        An empty one that is nowhere kept.
        """
        where = str(path) if create or path.exists() else ":memory:"
        with _faults(path):
            connection = sqlite3.connect(
                where, timeout=BUSY / 1000, isolation_level=None, check_same_thread=False
            )
            connection.row_factory = sqlite3.Row
            try:
                _prepare(connection, path)
            except BaseException:
                connection.close()
                raise
        return cls(connection, now)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def __del__(self) -> None:
        self._db.close()

    # --- runs -----------------------------------------------------------------------------------

    def start_run(self, run: RunRecord) -> None:
        """Record that a run began."""
        with self._writing():
            self._do(
                "add_run",
                id=run.id,
                project=run.project,
                pipeline=run.pipeline,
                status=run.status,
                created=run.created,
                record=_dump(asdict(run)),
            )

    def end_run(self, run: str, status: RunStatus, error: Json = None) -> None:
        """Record that a run came to rest."""
        told = None if error is None else _dump(error)
        with self._writing():
            self._do("end_run", id=run, status=status, ended=self._now(), error=told)

    def save_steps(self, run: str, steps: Iterable[StepState]) -> None:
        """Upsert what became of steps of a run."""
        with self._writing():
            for position, state in enumerate(steps):
                self._do(
                    "save_step",
                    run=run,
                    position=position,
                    name=state.name,
                    state=_dump(asdict(state)),
                )

    def list_runs(self, project: str | None = None, limit: int = 20) -> list[RunRecord]:
        """Return the newest runs, newest first."""
        return [_run(row) for row in self._all("list_runs", project=project, limit=limit)]

    def get_run(self, name: str) -> RunRecord:
        """Return the run whose id is, starts or ends so."""
        rows = self._all("find_runs", id=name)
        if len(rows) == 1 or (rows and rows[0]["id"] == name):
            return _run(rows[0])
        if rows:
            raise UsageError(f"several runs are named {name!r}…", hint="give more of the id")
        known = [run.id for run in self.list_runs(limit=200)]
        raise _unknown("run", name, known, "raypipe runs list")

    def run_steps(self, run: str) -> list[StepState]:
        """Return what became of the steps of a run, in their order."""
        return [_state(row["state"]) for row in self._all("run_steps", run=run)]

    # --- results --------------------------------------------------------------------------------

    def live_results(self, keys: Sequence[str], now: float) -> Mapping[str, Result]:
        """Return the live, unexpired results among these keys."""
        found = {}
        for key in keys:
            row = self._one("live_result", key=key)
            if row is not None and (row["expires"] is None or row["expires"] > now):
                found[key] = self._result(row)
        return found

    def latest_result(self, project: str, pipeline: str, step: str) -> Result | None:
        """Return the newest result of a step of this name, live or not."""
        row = self._one("latest_result", project=project, pipeline=pipeline, step=step)
        return None if row is None else self._result(row)

    def results_of(self, project: str, pipeline: str, step: str, limit: int = 100) -> list[Result]:
        """Return the results of a step, newest first, live or not."""
        rows = self._all("results_of", project=project, pipeline=pipeline, step=step, limit=limit)
        return [self._result(row) for row in rows]

    def record(
        self,
        result: Result,
        fingerprint: Fingerprint,
        metrics: Sequence[Metric] = (),
        *,
        forced: bool = False,
    ) -> Result:
        """Record a result; the first of a key wins unless forced."""
        with self._writing():
            row = self._one("live_result", key=result.key)
            if row is not None:
                expired = row["expires"] is not None and row["expires"] <= self._now()
                if not forced and not expired:
                    return self._result(row)
                self._do("supersede", key=result.key, why="expired" if expired else "forced")
            self._keep_fingerprint(fingerprint)
            recorded = self._insert(result)
            self._add_metrics(result.run, result.step, metrics)
        return recorded

    def supersede(self, key: str, why: str) -> None:
        """Take the live result of a key out of use; it stays for lineage."""
        with self._writing():
            self._do("supersede", key=key, why=why)

    def fingerprint(self, digest: str) -> Fingerprint | None:
        """Return the parts of a fingerprint that was recorded."""
        row = self._one("fingerprint", digest=digest)
        return None if row is None else Fingerprint(digest=digest, **json.loads(row["parts"]))

    def symbol_source(self, digest: str) -> str | None:
        """Return the text of a symbol, as it was when its digest was first recorded."""
        row = self._one("source", digest=digest)
        return None if row is None else str(row["source"])

    def live_artifacts(self) -> set[str]:
        """Return the digests of all artifacts that live results are made of."""
        return {row["digest"] for row in self._all("live_artifacts")}

    def record_metrics(self, run: str, step: str, metrics: Sequence[Metric]) -> None:
        """Add points to the curves of a run."""
        with self._writing():
            self._add_metrics(run, step, metrics)

    def metrics(self, run: str) -> list[Metric]:
        """Return the points of a run's curves, curve by curve."""
        return [
            Metric(name=row["name"], value=row["value"], step=row["at"], time=row["time"])
            for row in self._all("metrics", run=run)
        ]

    def _insert(self, result: Result) -> Result:
        of = self._one("run_of", run=result.run)
        cursor = self._do(
            "add_result",
            key=result.key,
            project=of["project"] if of else "",
            pipeline=of["pipeline"] if of else "",
            step=result.step,
            root=result.root,
            explanation=_dump(asdict(result.explanation)),
            run=result.run,
            seconds=result.seconds,
            created=result.created,
            expires=result.expires,
        )
        recorded = replace(result, id=int(cursor.lastrowid or 0))
        for position, artifact in enumerate(result.artifacts):
            self._do(
                "add_result_artifact", result=recorded.id, position=position, **asdict(artifact)
            )
        return recorded

    def _keep_fingerprint(self, fingerprint: Fingerprint) -> None:
        parts = {
            "symbols": dict(fingerprint.symbols),
            "packages": dict(fingerprint.packages),
            "widened": list(fingerprint.widened),
        }
        cursor = self._do("add_fingerprint", digest=fingerprint.digest, parts=_dump(parts))
        if cursor.rowcount:
            for digest, source in fingerprint.sources.items():
                self._do("add_source", digest=digest, source=source)

    def _add_metrics(self, run: str, step: str, metrics: Sequence[Metric]) -> None:
        for metric in metrics:
            self._do(
                "add_metric",
                run=run,
                step=step,
                name=metric.name,
                at=metric.step,
                value=metric.value,
                time=metric.time,
            )

    def _result(self, row: sqlite3.Row) -> Result:
        artifacts = tuple(
            ArtifactStat(**dict(one)) for one in self._all("result_artifacts", result=row["id"])
        )
        return Result(
            id=row["id"],
            key=row["key"],
            step=row["step"],
            root=row["root"],
            artifacts=artifacts,
            explanation=Explanation(**json.loads(row["explanation"])),
            run=row["run"],
            seconds=row["seconds"],
            created=row["created"],
            expires=row["expires"],
        )

    # --- reviews --------------------------------------------------------------------------------

    def find_review(self, project: str, pipeline: str, step: str, evidence: str) -> Review | None:
        """Return the review of a piece of evidence."""
        row = self._one(
            "find_review", project=project, pipeline=pipeline, step=step, evidence=evidence
        )
        return None if row is None else _review(row["record"])

    def open_review(self, review: Review) -> Review:
        """Ask for a decision; one on the same evidence is returned as it is."""
        with self._writing():
            self._do(
                "add_review",
                id=review.id,
                project=review.project,
                pipeline=review.pipeline,
                step=review.step,
                evidence=review.evidence,
                status=review.status,
                created=review.created,
                record=_dump(asdict(review)),
            )
            found = self.find_review(review.project, review.pipeline, review.step, review.evidence)
        assert found is not None
        return found

    def list_reviews(self, status: str | None = None) -> list[Review]:
        """Return reviews, newest first."""
        return [_review(row["record"]) for row in self._all("list_reviews", status=status)]

    def get_review(self, name: str) -> Review:
        """Return the review whose id is or starts so."""
        reviews = self.list_reviews()
        found = [review for review in reviews if review.id.startswith(name)] if name else []
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(f"several reviews are named {name!r}…", hint="give more of the id")
        raise _unknown("review", name, [review.id for review in reviews], "raypipe review list")

    def decide_review(
        self, name: str, status: Literal["approved", "rejected"], actor: Actor, note: str
    ) -> Review:
        """Decide on a review that is open; the same decision again changes nothing."""
        review = self.get_review(name)
        decided = replace(review, status=status, actor=actor, note=note, decided=self._now())
        with self._writing():
            changed = self._do(
                "decide_review", id=review.id, status=status, record=_dump(asdict(decided))
            ).rowcount
        if changed:
            return decided
        before = self.get_review(review.id)
        if before.status == status:
            return before
        by = (before.actor.name or before.actor.user) if before.actor else "somebody"
        raise UsageError(
            f"review {before.id} was {before.status} by {by} already",
            hint="a decision stands; change the settings or the code, and run again for another",
        )

    # --- models ---------------------------------------------------------------------------------

    def add_version(self, row: ModelVersionRow) -> ModelVersionRow:
        """Enter a version; the same bundle again gives its row.

        A taken number the next free patch.
        """
        with self._writing():
            found = self._one("version_of_bundle", model=row.model, bundle=row.bundle)
            if found is not None:
                return _version(found["record"])
            taken = {known.version for known in self.versions(row.model)}
            row = replace(row, version=next_free(row.version, taken))
            self._do(
                "add_version",
                model=row.model,
                version=row.version,
                bundle=row.bundle,
                created=row.created,
                record=_dump(asdict(row)),
            )
        return row

    def versions(self, model: str) -> list[ModelVersionRow]:
        """Return a model's versions, newest first."""
        return [_version(row["record"]) for row in self._all("versions", model=model)]

    def version(self, model: str, name: str) -> ModelVersionRow:
        """Return a version by its number or an alias."""
        rows = {row.version: row for row in self.versions(model)}
        aliases = self.aliases(model)
        wanted = aliases.get(name, name)
        if wanted not in rows:
            known = [*rows, *aliases]
            raise _unknown(f"version of {model}", name, known, f"raypipe models show {model}")
        return rows[wanted]

    def models(self) -> list[str]:
        """Return the names of all models."""
        return [row["model"] for row in self._all("models")]

    def set_alias(self, model: str, alias: str, version: str, actor: Actor) -> None:
        """Point an alias to a version, and remember who did."""
        with self._writing():
            self._do("set_alias", model=model, alias=alias, version=version)
            self._do(
                "add_alias_history",
                model=model,
                alias=alias,
                version=version,
                actor=_dump(asdict(actor)),
                time=self._now(),
            )

    def aliases(self, model: str) -> dict[str, str]:
        """Return where a model's aliases point."""
        return {row["alias"]: row["version"] for row in self._all("aliases", model=model)}

    def add_look(self, dataset: str, run: str, step: str) -> None:
        """Count a look at the analysis split of a dataset."""
        with self._writing():
            self._do("add_look", dataset=dataset, run=run, step=step, time=self._now())

    def looks(self, dataset: str) -> int:
        """Return how often the analysis split of a dataset was looked at."""
        row = self._one("looks", dataset=dataset)
        return int(row[0]) if row else 0

    # --- SQL ------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock, _faults(None):
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _do(self, query: str, **values: Any) -> sqlite3.Cursor:
        with self._lock, _faults(None):
            return self._db.execute(queries()[query], values)

    def _all(self, query: str, **values: Any) -> list[sqlite3.Row]:
        with self._lock, _faults(None):
            return self._db.execute(queries()[query], values).fetchall()

    def _one(self, query: str, **values: Any) -> sqlite3.Row | None:
        rows = self._all(query, **values)
        return rows[0] if rows else None


@cache
def queries() -> Mapping[str, str]:
    """Return the named queries of queries.sql."""
    text = Path(__file__).with_name("queries.sql").read_text()
    named = {}
    for block in text.split("\n-- ")[1:]:
        head, _, sql = block.partition("\n")
        named[head.partition(":")[0]] = sql.strip().rstrip(";")
    return named


def next_free(version: str, taken: set[str]) -> str:
    """Return a version, or the next patch of it that is not taken."""
    major, minor, patch = (int(part) for part in version.split("."))
    while f"{major}.{minor}.{patch}" in taken:
        patch += 1
    return f"{major}.{minor}.{patch}"


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    known = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone()[
        0
    ]
    if not known:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            again = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if not again:
                _make_tables(connection)
        finally:
            connection.execute("COMMIT")
    connection.execute("PRAGMA synchronous = FULL")
    (schema,) = connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
    if int(schema) > SCHEMA:
        raise StoreError(
            f"the ledger {str(path)!r} has schema {schema}, this raypipe knows up to {SCHEMA}",
            hint="upgrade raypipe",
        )


def _make_tables(connection: sqlite3.Connection) -> None:
    text = Path(__file__).with_name("schema.sql").read_text()
    plain = "\n".join(line.partition("--")[0] for line in text.splitlines())
    for statement in plain.split(";"):
        if statement.strip():
            connection.execute(statement)
    connection.execute("INSERT INTO meta VALUES ('schema', ?)", (str(SCHEMA),))


@contextmanager
def _faults(path: Path | None) -> Iterator[None]:
    """Tell what SQLite says in raypipe's words."""
    where = f"the ledger {str(path)!r}" if path else "the ledger"
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "locked" in text:
            hint = f"another process held it for {BUSY // 1000} s; look which, then run again"
        elif "full" in text:
            hint = "free some space, then run again: what was recorded is kept"
        elif "readonly" in text or "unable to open" in text:
            hint = "mend the home's permissions, or choose another with --home"
        else:
            hint = "look at the home's disk"
        raise StoreError(f"{where} cannot be used: {text}", hint=hint) from error
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"{where} is damaged: {error}",
            hint="restore it from a copy, or choose another home; artifacts are not lost",
        ) from error


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)


def _run(row: sqlite3.Row) -> RunRecord:
    record = json.loads(row["record"])
    record |= {
        "status": RunStatus(row["status"]),
        "ended": row["ended"],
        "error": json.loads(row["error"]) if row["error"] else None,
        "actor": Actor(**record["actor"]),
    }
    return RunRecord(**record)


def _state(text: str) -> StepState:
    record = json.loads(text)
    return StepState(**{**record, "reason": Reason(**record["reason"])})


def _review(text: str) -> Review:
    record = json.loads(text)
    actor = Actor(**record["actor"]) if record["actor"] else None
    return Review(**{**record, "actor": actor})


def _version(text: str) -> ModelVersionRow:
    record = json.loads(text)
    return ModelVersionRow(**{**record, "actor": Actor(**record["actor"])})


def _unknown(what: str, name: str, known: Sequence[str], command: str) -> NotFound:
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"`{command}` lists those that there are"
    return NotFound(f"there is no {what} {name!r}", hint=hint)


def _fits(ledger: SqliteLedger) -> Ledger:
    return ledger
