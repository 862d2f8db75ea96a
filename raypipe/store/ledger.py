"""The ledger in SQLite: runs, results, reviews, models; each method is one transaction."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from difflib import get_close_matches
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from raypipe.engine.digest import digest_bytes
from raypipe.engine.ports import Ledger
from raypipe.engine.records import (
    Actor,
    Fingerprint,
    Json,
    Metric,
    Result,
    Review,
    RunRecord,
    RunStatus,
    StepState,
)
from raypipe.errors import NotFound, StoreError, UsageError
from raypipe.store import rows
from raypipe.store.database import BUSY, Database
from raypipe.store.rows import (
    AliasChange,
    CaptureRow,
    ExecutionRow,
    ModelVersionRow,
    RouteRow,
    dump,
)

if TYPE_CHECKING:
    from sqlite3 import Row


class SqliteLedger:
    """A ledger in one SQLite file (WAL, durable at each commit); safe for threads and processes."""

    def __init__(self, database: Database, now: Callable[[], float] = time.time) -> None:
        self._db = database
        self._now = now

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        create: bool = True,
        now: Callable[[], float] = time.time,
        busy: float = BUSY,
    ) -> Self:
        """Open a ledger; with `create` false to look only, and where there is none an empty one.

        `busy` is for how many seconds a ledger that another process holds is waited for.
        """
        return cls(Database.open(path, create=create, busy=busy), now)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def together(self) -> AbstractContextManager[None]:
        """Make what is written in the body one transaction."""
        return self._db.writing()

    # --- runs -----------------------------------------------------------------------------------

    def start_run(self, run: RunRecord) -> None:
        """Record that a run began."""
        with self._db.writing():
            self._db.do(
                "add_run",
                id=run.id,
                project=run.project,
                pipeline=run.pipeline,
                status=run.status,
                created=run.created,
                record=dump(asdict(run)),
            )

    def end_run(self, run: str, status: RunStatus, error: Json = None) -> None:
        """Record that a run came to rest; one that was cancelled stays so."""
        told = None if error is None else dump(error)
        with self._db.writing():
            ended = self._db.do("end_run", id=run, status=status, ended=self._now(), error=told)
        if not ended.rowcount:
            self.get_run(run)

    def running(self) -> list[RunRecord]:
        """Return the runs that did not come to rest, oldest first."""
        return [rows.read_run(row) for row in self._db.all("running")]

    def end_lost(self, run: str, error: Json) -> None:
        """Record that the process of a run ended without a word, and its attempts with it."""
        told = dump(error)
        values = {"status": "failed", "ended": self._now(), "error": told}
        with self._db.writing():
            self._db.do("end_run", id=run, **values)
            self._db.do("end_executions", run=run, **values)

    def save_steps(self, run: str, steps: Iterable[StepState]) -> None:
        """Upsert what became of steps of a run; new ones follow those that are known."""
        with self._db.writing():
            for state in steps:
                self._db.do(
                    "save_step",
                    run=run,
                    name=state.name,
                    key=state.key,
                    state=dump(asdict(state)),
                )

    def rename_project(self, old: str, new: str, root: Path) -> None:
        """Give the runs of targets under a folder, and what they made, another project's name."""
        with self._db.writing():
            renamed = self._db.do("rename_runs", old=old, new=new, inside=f"{root}/")
            if renamed.rowcount:
                self._db.do("rename_results", old=old, new=new)
                self._db.do("rename_reviews", old=old, new=new)

    def list_runs(
        self,
        project: str | None = None,
        limit: int = 20,
        *,
        pipeline: str | None = None,
        status: str | None = None,
        since: float | None = None,
    ) -> list[RunRecord]:
        """Return the newest runs, newest first."""
        of = {"project": project, "pipeline": pipeline, "status": status, "since": since}
        found = self._db.all("list_runs", **of, limit=limit)
        return [rows.read_run(row) for row in found]

    def keep_code(self, run: str, code: str) -> None:
        """Record which snapshot of the project's code a run uses."""
        with self._db.writing():
            self._db.do("keep_code", id=run, code=code)

    def kept_code(self) -> set[str]:
        """Return the digests of all snapshots that runs used."""
        return {row["code"] for row in self._db.all("kept_code") if row["code"]}

    def get_run(self, name: str) -> RunRecord:
        """Return the run whose id is, starts or ends so."""
        found = self._db.all("find_runs", id=name) if name else []
        known = [run.id for run in self.list_runs(limit=200)] if not found else []
        return rows.read_run(_only(found, "run", name, known, "raypipe runs list"))

    def run_steps(self, run: str) -> list[StepState]:
        """Return what became of the steps of a run, in their order."""
        return [rows.read_step(row) for row in self._db.all("run_steps", run=run)]

    # --- executions -----------------------------------------------------------------------------

    def start_execution(self, run: str, step: str, *, key: str, host: str, reason: str = "") -> int:
        """Record that an attempt at a step began; return the number that its end is told by."""
        with self._db.writing():
            values = {"run": run, "step": step, "key": key, "host": host, "reason": reason}
            cursor = self._db.do("add_execution", **values, started=self._now())
        assert cursor.lastrowid is not None
        return int(cursor.lastrowid)

    def end_execution(
        self,
        execution: int,
        status: Literal["succeeded", "failed", "cancelled"],
        error: Json = None,
    ) -> None:
        """Record how an attempt ended; the first word on it stands."""
        told = None if error is None else dump(error)
        with self._db.writing():
            self._db.do("end_execution", id=execution, status=status, ended=self._now(), error=told)

    def executions(self, run: str) -> list[ExecutionRow]:
        """Return the attempts of a run, in the order in which they began."""
        return [rows.read_execution(row) for row in self._db.all("executions", run=run)]

    # --- results --------------------------------------------------------------------------------

    def live_results(self, keys: Sequence[str], now: float) -> Mapping[str, Result]:
        """Return the live, unexpired results among these keys."""
        found = {}
        for key in keys:
            row = self._db.one("live_result", key=key)
            if row is not None and (row["expires"] is None or row["expires"] > now):
                found[key] = self._result(row)
        return found

    def latest_result(self, project: str, pipeline: str, step: str) -> Result | None:
        """Return the result of a step that the newest run of the pipeline used or made."""
        found = self.used_results(project, pipeline, step, limit=1)
        return found[0][0] if found else None

    def used_results(
        self, project: str, pipeline: str, step: str, limit: int = 100
    ) -> list[tuple[Result, str]]:
        """Return the results of a step that runs of a pipeline used or made, last used first.

        Each with the id of the run that used it last.
        """
        values = {"project": project, "pipeline": pipeline, "step": step}
        found = self._db.all("used_results", **values, limit=limit)
        return [(self._result(row), str(row["used_by"])) for row in found]

    def step_seconds(
        self, project: str, pipeline: str, step: str, limit: int = 5
    ) -> tuple[float, ...]:
        """Return how long a step took when its last results were made, the newest first."""
        values = {"project": project, "pipeline": pipeline, "step": step}
        found = self._db.all("step_seconds", **values, limit=limit)
        return tuple(row["seconds"] for row in found)

    def result_of(self, key: str) -> Result | None:
        """Return the result of a key, whether or not it is still in use."""
        row = self._db.one("result_of", key=key)
        return None if row is None else self._result(row)

    def record(
        self,
        result: Result,
        fingerprint: Fingerprint,
        *,
        forced: bool = False,
    ) -> Result:
        """Record a result; the first of a key wins unless forced."""
        with self._db.writing():
            row = self._db.one("live_result", key=result.key)
            if row is not None:
                expired = row["expires"] is not None and row["expires"] <= self._now()
                if not forced and not expired:
                    return self._result(row)
                why = "expired" if expired else "forced"
                self._db.do("supersede", key=result.key, why=why)
            self._keep_fingerprint(fingerprint)
            return self._insert(result)

    def supersede(self, key: str, why: str) -> None:
        """Take the live result of a key out of use; it stays for lineage."""
        with self._db.writing():
            self._db.do("supersede", key=key, why=why)

    def live_artifacts(self) -> set[str]:
        """Return the digests of all artifacts that live results are made of."""
        return {row["digest"] for row in self._db.all("live_artifacts")}

    def _insert(self, result: Result) -> Result:
        of = self._db.one("run_of", run=result.run)
        cursor = self._db.do(
            "add_result",
            key=result.key,
            project=of["project"] if of else "",
            pipeline=of["pipeline"] if of else "",
            step=result.step,
            root=result.root,
            explanation=dump(asdict(result.explanation)),
            run=result.run,
            seconds=result.seconds,
            created=result.created,
            expires=result.expires,
        )
        number = int(cursor.lastrowid or 0)
        for position, artifact in enumerate(result.artifacts):
            self._db.do("add_result_artifact", result=number, position=position, **asdict(artifact))
        return replace(result, id=number)

    def _result(self, row: "Row") -> Result:
        return rows.read_result(row, self._db.all("result_artifacts", result=row["id"]))

    # --- code and metrics -----------------------------------------------------------------------

    def fingerprint(self, digest: str) -> Fingerprint | None:
        """Return the parts of a fingerprint that was recorded."""
        row = self._db.one("fingerprint", digest=digest)
        if row is None:
            return None
        parts = loads(row["parts"])
        return Fingerprint(digest=digest, **{**parts, "widened": tuple(parts["widened"])})

    def symbol_source(self, digest: str) -> str | None:
        """Return the text of a symbol, as it was when its digest was first recorded."""
        row = self._db.one("source", digest=digest)
        return None if row is None else str(row["source"])

    def _keep_fingerprint(self, fingerprint: Fingerprint) -> None:
        parts = {
            "symbols": dict(fingerprint.symbols),
            "packages": dict(fingerprint.packages),
            "widened": list(fingerprint.widened),
        }
        added = self._db.do("add_fingerprint", digest=fingerprint.digest, parts=dump(parts))
        if added.rowcount:
            for digest, source in fingerprint.sources.items():
                self._db.do("add_source", digest=digest, source=source)

    def record_metrics(self, run: str, step: str, metrics: Sequence[Metric]) -> None:
        """Add points to the curves of a run; a point that is there is replaced."""
        with self._db.writing():
            for metric in metrics:
                self._db.do(
                    "add_metric",
                    run=run,
                    step=step,
                    name=metric.name,
                    at=metric.step,
                    value=metric.value,
                    time=metric.time,
                )

    def metrics(self, run: str, step: str | None = None) -> list[Metric]:
        """Return the points of a run's curves, or of those of one of its steps, curve by curve."""
        return [rows.read_metric(row) for row in self._db.all("metrics", run=run, step=step)]

    # --- reviews --------------------------------------------------------------------------------

    def find_review(self, project: str, pipeline: str, step: str, evidence: str) -> Review | None:
        """Return the review of a piece of evidence."""
        values = {"project": project, "pipeline": pipeline, "step": step, "evidence": evidence}
        row = self._db.one("find_review", **values)
        return None if row is None else rows.read_review(row)

    def open_review(self, review: Review) -> Review:
        """Ask for a decision; one on the same evidence is returned as it is.

        An id that another review has is changed.
        """
        of = (review.project, review.pipeline, review.step, review.evidence)
        with self._db.writing():
            found = self.find_review(*of)
            if found is not None:
                return found
            while self._db.one("review", id=review.id) is not None:
                again = digest_bytes(" ".join((review.id, *of)).encode())
                review = replace(review, id=again[: len(review.id)])
            self._db.do(
                "add_review",
                id=review.id,
                project=review.project,
                pipeline=review.pipeline,
                step=review.step,
                evidence=review.evidence,
                status=review.status,
                created=review.created,
                record=dump(asdict(review)),
            )
        return review

    def list_reviews(self, status: str | None = None) -> list[Review]:
        """Return reviews, newest first."""
        return [rows.read_review(row) for row in self._db.all("list_reviews", status=status)]

    def get_review(self, name: str) -> Review:
        """Return the review whose id is or starts so."""
        found = self._db.all("find_reviews", id=name) if name else []
        known = [review.id for review in self.list_reviews()] if not found else []
        return rows.read_review(_only(found, "review", name, known, "raypipe review list"))

    def decide_review(
        self, name: str, status: Literal["approved", "rejected"], actor: Actor, note: str
    ) -> Review:
        """Decide on a review that is open; the same decision again changes nothing."""
        review = self.get_review(name)
        decided = replace(review, status=status, actor=actor, note=note, decided=self._now())
        with self._db.writing():
            values = {"id": review.id, "status": status, "record": dump(asdict(decided))}
            if self._db.do("decide_review", **values).rowcount:
                return decided
            before = self.get_review(review.id)
        if before.status != status:
            raise _decided(before)
        return before

    # --- models ---------------------------------------------------------------------------------

    def add_version(self, row: ModelVersionRow, *, alias: str | None = None) -> ModelVersionRow:
        """Enter a version, a bundle only once; a taken number becomes the next free patch.

        `alias` is pointed to it in the same act, if it is new.
        """
        with self._db.writing():
            found = self._db.one("version_of_bundle", model=row.model, bundle=row.bundle)
            if found is not None:
                return rows.read_version(found)
            taken = {known.version for known in self.versions(row.model)}
            row = replace(row, version=next_free(row.version, taken))
            self._db.do(
                "add_version",
                model=row.model,
                version=row.version,
                bundle=row.bundle,
                created=row.created,
                record=dump(asdict(row)),
            )
            if alias is not None:
                self.set_alias(row.model, alias, row.version, row.actor)
        return row

    def versions(self, model: str) -> list[ModelVersionRow]:
        """Return a model's versions, newest first."""
        return [rows.read_version(row) for row in self._db.all("versions", model=model)]

    def version(self, model: str, name: str) -> ModelVersionRow:
        """Return a version by its number or an alias."""
        versions = {row.version: row for row in self.versions(model)}
        if not versions:
            raise _unknown("model", model, self.models(), "raypipe models list")
        aliases = self.aliases(model)
        wanted = aliases.get(name, name)
        if wanted not in versions:
            known = [*versions, *aliases]
            raise _unknown(f"version of {model}", name, known, f"raypipe models show {model}")
        return versions[wanted]

    def models(self) -> list[str]:
        """Return the names of all models."""
        return [row["model"] for row in self._db.all("models")]

    def set_alias(
        self, model: str, alias: str, version: str, actor: Actor, *, back: bool = False
    ) -> None:
        """Point an alias to a version, and remember who did; to where it points does nothing.

        `back` says that it goes back to where it pointed before.
        """
        with self._db.writing():
            version = self.version(model, version).version
            if self.aliases(model).get(alias) == version:
                return
            self._db.do("set_alias", model=model, alias=alias, version=version)
            self._db.do(
                "add_alias_change",
                model=model,
                alias=alias,
                version=version,
                actor=dump(asdict(actor)),
                time=self._now(),
                back=int(back),
            )

    def aliases(self, model: str) -> dict[str, str]:
        """Return where a model's aliases point."""
        return {row["alias"]: row["version"] for row in self._db.all("aliases", model=model)}

    def alias_history(self, model: str) -> list[AliasChange]:
        """Return where a model's aliases were pointed to, by whom, newest first."""
        return [rows.read_alias_change(row) for row in self._db.all("alias_history", model=model)]

    # --- routes and captured rows ---------------------------------------------------------------

    def set_route(self, model: str, shares: Mapping[str, float], actor: Actor) -> RouteRow:
        """Divide a model's requests so from now on; as they are divided already does nothing.

        NotFound for a version that does not exist.
        """
        with self._db.writing():
            given = {self.version(model, name).version: share for name, share in shares.items()}
            known = self.route_history(model)
            if known and list(known[0].shares.items()) == list(given.items()):
                return known[0]
            row = RouteRow(model=model, shares=given, actor=actor, time=self._now())
            self._db.do(
                "add_route",
                model=model,
                shares=dump(given),
                actor=dump(asdict(actor)),
                time=row.time,
            )
        return row

    def route_history(self, model: str) -> list[RouteRow]:
        """Return how a model's requests were divided, newest first; none: all to the champion."""
        return [rows.read_route(model, row) for row in self._db.all("routes", model=model)]

    def add_capture(self, project: str, pipeline: str, capture: CaptureRow) -> None:
        """Record that captured rows became a part of a dataset, once for a piece of evidence."""
        with self._db.writing():
            self._db.do(
                "add_capture",
                project=project,
                pipeline=pipeline,
                evidence=capture.evidence,
                commit_id=capture.commit,
                row_count=capture.rows,
                actor=dump(asdict(capture.actor)),
                time=capture.time,
            )

    def captures(self, project: str, pipeline: str) -> list[CaptureRow]:
        """Return the captured rows that became a part of a pipeline's dataset, newest first."""
        found = self._db.all("captures", project=project, pipeline=pipeline)
        return [rows.read_capture(row) for row in found]

    # --- looks ----------------------------------------------------------------------------------

    def add_look(self, dataset: str, run: str, step: str) -> None:
        """Count a look at the analysis split of a dataset, once for a step of a run."""
        with self._db.writing():
            self._db.do("add_look", dataset=dataset, run=run, step=step, time=self._now())

    def looks(self, dataset: str) -> int:
        """Return how often the analysis split of a dataset was looked at."""
        row = self._db.one("looks", dataset=dataset)
        return int(row[0]) if row else 0


def next_free(version: str, taken: set[str]) -> str:
    """Return a version, or the next patch of it that is not taken."""
    try:
        major, minor, patch = (int(part) for part in version.split("."))
    except ValueError:
        raise StoreError(f"{version!r} is no version; it should read like 1.0.0") from None
    while f"{major}.{minor}.{patch}" in taken:
        patch += 1
    return f"{major}.{minor}.{patch}"


def _only(found: Sequence["Row"], what: str, name: str, known: list[str], command: str) -> "Row":
    """Return the one row that a name stands for: the first, if it has just this id."""
    if not found:
        raise _unknown(what, name, known, command)
    if len(found) > 1 and found[0]["id"] != name:
        raise UsageError(f"several {what}s are named {name!r}…", hint="give more of the id")
    return found[0]


def _unknown(what: str, name: str, known: Sequence[str], command: str) -> NotFound:
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"`{command}` lists those that there are"
    return NotFound(f"there is no {what} {name!r}", hint=hint)


def _decided(review: Review) -> UsageError:
    by = (review.actor.name or review.actor.user) if review.actor else "somebody"
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(review.decided))
    return UsageError(
        f"review {review.id} was {review.status} by {by} on {when}",
        hint="a decision stands; change the settings or the code, and run again for another",
    )


if TYPE_CHECKING:
    _fits: Ledger = SqliteLedger(Database.open(Path(), create=False))
