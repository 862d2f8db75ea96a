"""The ledger: runs, results, reviews, models; each method that writes is one transaction.

It may be carried out twice where a server was lost while it committed, so that each is written to
leave the second time what the first one left.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from difflib import get_close_matches
from functools import cached_property, wraps
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, Literal, ParamSpec, Self, TypeVar, get_args

from raypipe.engine.ports import Ledger
from raypipe.engine.records import (
    Actor,
    Effect,
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
from raypipe.store import reviews, rows
from raypipe.store.database import Database, Row
from raypipe.store.ledger_gate import GateRecords
from raypipe.store.postgres_url import PostgresUrl
from raypipe.store.rows import (
    AliasChange,
    CaptureRow,
    EffectStatus,
    ExecutionRow,
    HoldRow,
    ModelVersionRow,
    OutboxRow,
    RouteRow,
    dump,
)
from raypipe.store.sqlite import BUSY, SqliteDatabase

if TYPE_CHECKING:
    from raypipe.store.retention import Keep, Old

LAST = "\U0010ffff"
"""Sorts after every character that an id may go on with."""


Given = ParamSpec("Given")
Made = TypeVar("Made")


def _act(
    method: "Callable[Concatenate[SqlLedger, Given], Made]",
) -> "Callable[Concatenate[SqlLedger, Given], Made]":
    """Carry a method out again where its server is lost before it returns."""

    @wraps(method)
    def again(ledger: "SqlLedger", /, *given: Given.args, **named: Given.kwargs) -> Made:
        return ledger._db.repeat(lambda: method(ledger, *given, **named))

    return again


class SqlLedger:
    """A ledger in a SQLite file or in Postgres; safe for threads and processes."""

    def __init__(self, database: Database, now: Callable[[], float] = time.time) -> None:
        self._db = database
        self._now = now

    @classmethod
    def open(
        cls,
        place: Path | PostgresUrl,
        *,
        create: bool = True,
        now: Callable[[], float] = time.time,
        busy: float = BUSY,
    ) -> Self:
        """Open a ledger; with `create` false to look only, and where there is none an empty one.

        `busy` is for how many seconds what another process holds, or a server that went away, is
        waited for.
        """
        if isinstance(place, Path):
            return cls(SqliteDatabase.open(place, create=create, busy=busy), now)
        from raypipe.store.postgres import PostgresDatabase

        opened = PostgresDatabase.open(place, create=create, busy=busy)
        return cls(opened or SqliteDatabase.empty(), now)

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    @cached_property
    def gate(self) -> GateRecords:
        """What is known of data that was judged, of protected branches and of their gate."""
        return GateRecords(self._db, self._now)

    def together(self, act: Callable[[], Made]) -> Made:
        """Make what is written by an act of several one transaction.

        It is carried out again where the server is lost before it answers, so that the act gives
        the same the second time: keys that are drawn are drawn outside it.
        """

        def whole() -> Made:
            with self._db.writing():
                return act()

        return self._db.repeat(whole)

    # --- runs -----------------------------------------------------------------------------------

    @_act
    def start_run(self, run: RunRecord) -> None:
        """Record that a run began."""
        with self._db.writing():
            added = self._db.do(
                "add_run",
                id=run.id,
                backwards=run.id[::-1],
                project=run.project,
                pipeline=run.pipeline,
                status=run.status,
                created=run.created,
                record=dump(asdict(run)),
            )
        if not added and not self._db.repeating:
            raise StoreError(f"there is a run {run.id} already", hint="run again, for another id")

    @_act
    def end_run(self, run: str, status: RunStatus, error: Json = None) -> RunStatus:
        """Record that a run came to rest; one that was cancelled stays so. Return how it stands."""
        told = None if error is None else dump(error)
        with self._db.writing():
            self._db.do("end_run", id=run, status=status, ended=self._now(), error=told)
        return self.standing(run)[0]

    @_act
    def cancel_run(self, run: str, error: Json) -> bool:
        """Record that a run is cancelled, and its attempts; false if it had ended otherwise.

        A review that only it waits for is withdrawn.
        """
        told = dump(error)
        values = {"status": "cancelled", "ended": self._now(), "error": told}
        with self._db.writing("reviews"):
            if not self._db.do("cancel_run", id=run, **values):
                return self.standing(run)[0] == RunStatus.CANCELLED
            self._db.do("end_executions", run=run, **values)
            reviews.withdraw_abandoned(self._db, self._now())
        return True

    def standing(self, run: str) -> tuple[RunStatus, Json]:
        """Return where a run stands, and the error that it ended with: cheap, to be asked often."""
        row = self._db.one("standing", id=run)
        if row is None:
            raise NotFound(f"there is no run {run!r}")
        return RunStatus(row["status"]), None if row["error"] is None else loads(row["error"])

    def running(self) -> list[RunRecord]:
        """Return the runs that did not come to rest, oldest first."""
        return [rows.read_run(row) for row in self._db.all("running")]

    @_act
    def end_lost(self, run: str, error: Json) -> bool:
        """Record that the process of a run ended without a word, and its attempts with it.

        False if the run came to rest after all, since it was seen to be under way: that stays.
        """
        told = dump(error)
        values = {"status": "failed", "ended": self._now(), "error": told}
        with self._db.writing():
            if not self._db.do("end_lost", id=run, **values):
                return self._db.repeating and self.standing(run) == (RunStatus.FAILED, error)
            self._db.do("end_executions", run=run, **values)
        return True

    def save_steps(self, run: str, steps: Iterable[StepState]) -> None:
        """Upsert what became of steps of a run; new ones follow those that are known."""
        known = list(steps)
        saved = [
            {"run": run, "name": one.name, "key": one.key, "state": dump(asdict(one))}
            for one in known
        ]
        # In one order everywhere, so that no two runs wait for one another.
        used = sorted({(one.name, one.key) for one in known if one.key is not None})
        uses = [{"run": run, "step": step, "key": key} for step, key in used]
        self._db.repeat(lambda: self._save(run, saved, uses))

    def _save(self, run: str, saved: Sequence[Json], uses: Sequence[Json]) -> None:
        with self._db.writing(f"steps of {run}"):
            self._db.many("save_step", saved)
            self._db.many("add_use", uses)

    @_act
    def rename_project(self, old: str, new: str, root: Path) -> None:
        """Give the runs of targets under a folder, and what they made, another project's name."""
        inside = f"{root}/"
        with self._db.writing(f"project {old}"):
            moved = [
                {"id": row["id"], "new": new, "record": dump({**record, "project": new})}
                for row in self._db.all("runs_of", project=old)
                if str((record := loads(row["record"]))["parameters"]["target"]).startswith(inside)
            ]
            if not moved:
                return
            self._db.many("rename_run", moved)
            self._db.do("rename_results", old=old, new=new)
            self._db.do("rename_uses", old=old, new=new)
            self._db.do("forget_renamed_uses", old=old, new=new)
            self._rename_reviews(old, new, {row["id"] for row in moved})

    def _rename_reviews(self, old: str, new: str, runs: set[str]) -> None:
        for row in self._db.all("reviews_of", project=old):
            record = loads(row["record"])
            if record["run"] in runs:
                told = dump({**record, "project": new})
                self._db.do("rename_review", id=row["id"], new=new, record=told)

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
        if pipeline or status or since:
            of = {"project": project or "", "pipeline": pipeline or "", "status": status or ""}
            found = self._db.all("list_runs_where", **of, since=since or 0.0, limit=limit)
        elif project is None:
            found = self._db.all("list_runs", limit=limit)
        else:
            found = self._db.all("list_runs_of", project=project, limit=limit)
        return [rows.read_run(row) for row in found]

    @_act
    def keep_code(self, run: str, code: str) -> None:
        """Record which snapshot of the project's code a run uses."""
        with self._db.writing(f"run {run}"):
            row = self._db.one("run_record", id=run)
            if row is not None:
                told = dump({**loads(row["record"]), "code": code})
                self._db.do("set_run_record", id=run, record=told)

    def kept_code(self, runs: int) -> set[str]:
        """Return the digests of the snapshots that the newest runs of each pipeline used."""
        kept = self._db.all("records_of_newest", runs=runs)
        return {code for row in kept if (code := loads(row["record"]).get("code"))}

    def run_ids(self) -> set[str]:
        """Return the ids of all runs."""
        return {row["id"] for row in self._db.all("run_ids")}

    def newest_runs(self, each: int) -> list[RunRecord]:
        """Return the newest runs of each pipeline."""
        return [rows.read_run(row) for row in self._db.all("newest_runs", newest=each)]

    def get_run(self, name: str) -> RunRecord:
        """Return the run whose id is, starts or ends so."""
        back = name[::-1]
        named = {"id": name, "after": name + LAST, "backwards": back, "afterwards": back + LAST}
        found = self._db.all("find_runs", **named) if name else []
        known = [run.id for run in self.list_runs(limit=200)] if not found else []
        return rows.read_run(_only(found, "run", name, known, "raypipe runs list"))

    def run_steps(self, run: str) -> list[StepState]:
        """Return what became of the steps of a run, in their order."""
        return [rows.read_step(row) for row in self._db.all("run_steps", run=run)]

    # --- executions -----------------------------------------------------------------------------

    @_act
    def start_execution(self, run: str, step: str, *, key: str, host: str, reason: str = "") -> int:
        """Record that an attempt at a step began; return the number that its end is told by."""
        of = {"run": run, "step": step, "key": key}
        with self._db.writing(f"executions of {run}"):
            if self._db.repeating and (row := self._db.one("begun", **of)):
                return int(row["id"])
            more = {"host": host, "reason": reason, "started": self._now()}
            return self._db.insert("add_execution", **of, **more)

    @_act
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
        if len(keys) == 1:
            one = self._db.one("live_result", key=keys[0])
            found = [] if one is None else [one]
        else:
            found = self._db.all("live_results", keys=list(keys))
        alive = [row for row in found if row["expires"] is None or row["expires"] > now]
        return {result.key: result for result in self._results(alive)}

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
        return [
            (result, str(row["used_by"]))
            for result, row in zip(self._results(found), found, strict=True)
        ]

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

    @_act
    def record(
        self,
        result: Result,
        fingerprint: Fingerprint,
        *,
        forced: bool = False,
    ) -> Result:
        """Record a result; the first of a key wins unless forced."""
        with self._db.writing(f"result {result.key}"):
            row = self._db.one("live_result", key=result.key)
            if row is not None:
                expired = row["expires"] is not None and row["expires"] <= self._now()
                was_done = self._db.repeating and row["run"] == result.run
                if (not forced and not expired) or was_done:
                    return self._result(row)
                why = "expired" if expired else "forced"
                self._db.do("supersede", key=result.key, why=why)
            self._keep_fingerprint(fingerprint)
            return self._insert(result)

    @_act
    def supersede(self, key: str, why: str) -> None:
        """Take the live result of a key out of use; it stays for lineage."""
        with self._db.writing():
            self._db.do("supersede", key=key, why=why)

    def live_artifacts(self) -> set[str]:
        """Return the digests of all artifacts that live results are made of."""
        return {row["digest"] for row in self._db.all("live_artifacts")}

    def kept_artifacts(self, runs: int) -> set[str]:
        """Return what live results are made of, and what the newest runs of each pipeline used."""
        return {row["digest"] for row in self._db.all("kept_artifacts", runs=runs)}

    def live_keys(self, digest: str) -> list[str]:
        """Return the keys whose live results are made of an artifact."""
        return [row["key"] for row in self._db.all("live_keys", digest=digest)]

    def _insert(self, result: Result) -> Result:
        number = self._db.insert(
            "add_result",
            key=result.key,
            step=result.step,
            root=result.root,
            explanation=dump(asdict(result.explanation)),
            run=result.run,
            seconds=result.seconds,
            created=result.created,
            expires=result.expires,
        )
        artifacts = [
            {"result": number, "position": position, **asdict(artifact)}
            for position, artifact in enumerate(result.artifacts)
        ]
        self._db.many("add_result_artifact", artifacts)
        self._db.do("add_use", run=result.run, step=result.step, key=result.key)
        return replace(result, id=number)

    def _result(self, row: Row) -> Result:
        return rows.read_result(row, self._db.all("result_artifacts", result=row["id"]))

    def _results(self, found: Sequence[Row]) -> list[Result]:
        if len(found) < 2:
            return [self._result(row) for row in found]
        parts: dict[int, list[Row]] = {row["id"]: [] for row in found}
        for part in self._db.all("results_artifacts", results=list(parts)):
            parts[part["result"]].append(part)
        return [rows.read_result(row, parts[row["id"]]) for row in found]

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
        if added:
            sources = sorted(fingerprint.sources.items())
            self._db.many("add_source", [{"digest": d, "source": text} for d, text in sources])

    @_act
    def record_metrics(self, run: str, step: str, metrics: Sequence[Metric]) -> None:
        """Add points to the curves of a run; a point that is there is replaced."""
        points = [
            {
                "run": run,
                "step": step,
                "name": metric.name,
                "at": metric.step,
                "value": metric.value,
                "time": metric.time,
            }
            for metric in metrics
        ]
        with self._db.writing():
            self._db.many("add_metric", points)

    def metrics(self, run: str, step: str | None = None) -> list[Metric]:
        """Return the points of a run's curves, or of those of one of its steps, curve by curve."""
        if step is None:
            found = self._db.all("metrics", run=run)
        else:
            found = self._db.all("metrics_of", run=run, step=step)
        return [rows.read_metric(row) for row in found]

    # --- reviews --------------------------------------------------------------------------------

    def find_review(self, project: str, pipeline: str, step: str, evidence: str) -> Review | None:
        """Return the review of a piece of evidence."""
        values = {"project": project, "pipeline": pipeline, "step": step, "evidence": evidence}
        row = self._db.one("find_review", **values)
        return None if row is None else rows.read_review(row)

    @_act
    def open_review(
        self, review: Review, effects: Callable[[Review], Sequence[Effect]] = lambda review: ()
    ) -> Review:
        """Ask for a decision; one on the same evidence is returned, but if it was withdrawn.

        Open ones of the same step are withdrawn for it. An id that another review has is changed.
        `effects` says what one that opens asks for.
        """
        with self._db.writing("reviews"):
            found = reviews.find(self._db, review)
            if found is not None and found.status != "withdrawn":
                return found
            review = reviews.open_(self._db, review, self._now())
            self.ask_for(effects(review))
        return review

    def list_reviews(self, status: str | None = None) -> list[Review]:
        """Return reviews, newest first."""
        if status is None:
            found = self._db.all("list_reviews")
        else:
            found = self._db.all("list_reviews_of", status=status)
        return [rows.read_review(row) for row in found]

    def get_review(self, name: str) -> Review:
        """Return the review whose id is or starts so."""
        found = self._db.all("find_reviews", id=name, after=name + LAST) if name else []
        known = [review.id for review in self.list_reviews()] if not found else []
        return rows.read_review(_only(found, "review", name, known, "raypipe review list"))

    @_act
    def decide_review(
        self, name: str, status: Literal["approved", "rejected"], actor: Actor, note: str
    ) -> Review:
        """Decide on a review that is open; the same decision again changes nothing."""
        review = self.get_review(name)
        decided = replace(review, status=status, actor=actor, note=note, decided=self._now())
        with self._db.writing():
            values = {"id": review.id, "status": status, "record": dump(asdict(decided))}
            if self._db.do("decide_review", **values):
                return decided
            before = self.get_review(review.id)
        if before.status != status:
            raise _decided(before)
        return before

    # --- models ---------------------------------------------------------------------------------

    @_act
    def add_version(self, row: ModelVersionRow, *, alias: str | None = None) -> ModelVersionRow:
        """Enter a version, a bundle only once; a taken number becomes the next free patch.

        `alias` is pointed to it in the same act, if it is new.
        """
        with self._db.writing(f"model {row.model}"):
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
        found = [rows.read_version(row) for row in self._db.all("versions", model=model)]
        return sorted(found, key=lambda row: (row.created, _parts(row.version)), reverse=True)

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

    @_act
    def set_alias(
        self,
        model: str,
        alias: str,
        version: str,
        actor: Actor,
        *,
        back: bool = False,
        since: str | None = None,
    ) -> None:
        """Point an alias to a version, and remember who did; to where it points does nothing.

        `back` says that it goes back to where it pointed before. `since` is where it was seen to
        point; UsageError if somebody moved it meanwhile.
        """
        with self._db.writing(f"model {model}"):
            version = self.version(model, version).version
            now = self.aliases(model).get(alias)
            if now == version:
                return
            if since is not None and now != since:
                raise UsageError(
                    f"somebody else moved {alias} of {model} from {since} to {now} meanwhile",
                    hint=f"look again: raypipe models show {model}",
                )
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

    @_act
    def set_route(self, model: str, shares: Mapping[str, float], actor: Actor) -> RouteRow:
        """Divide a model's requests so from now on; as they are divided already does nothing.

        NotFound for a version that does not exist.
        """
        with self._db.writing(f"model {model}"):
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

    @_act
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

    # --- holds ----------------------------------------------------------------------------------

    @_act
    def add_hold(self, kind: str, name: str, note: str, actor: Actor) -> HoldRow:
        """Keep something from being removed; what is kept already stays as it is."""
        row = HoldRow(kind=kind, name=name, note=note, actor=actor, time=self._now())
        with self._db.writing():
            self._db.do("add_hold", **{**asdict(row), "actor": dump(asdict(actor))})
        return next(one for one in self.holds() if (one.kind, one.name) == (kind, name))

    def holds(self) -> list[HoldRow]:
        """Return what people keep from being removed, newest first."""
        return [rows.read_hold(row) for row in self._db.all("holds")]

    @_act
    def remove_hold(self, kind: str, name: str) -> None:
        """Let something be removed again."""
        with self._db.writing():
            self._db.do("remove_hold", kind=kind, name=name)

    # --- effects --------------------------------------------------------------------------------

    @_act
    def ask_for(self, effects: Sequence[Effect]) -> None:
        """Enter effects, each key once; in one act with the fact that asks for them."""
        if not effects:
            return
        with self._db.writing():
            for effect in effects:
                self._db.do(
                    "add_effect",
                    key=effect.key,
                    kind=effect.kind,
                    payload=dump(effect.payload),
                    created=self._now(),
                )

    def outbox(self, status: EffectStatus | None = None) -> list[OutboxRow]:
        """Return the effects of a status, or all, in the order in which they were asked for."""
        wanted = get_args(EffectStatus) if status is None else (status,)
        found = [row for one in wanted for row in self._db.all("outbox", status=one)]
        return sorted(map(rows.read_effect, found), key=lambda row: row.id)

    def effect(self, key: str) -> OutboxRow:
        """Return one effect; NotFound if there is none under this key."""
        row = self._db.one("effect", key=key)
        if row is None:
            known = [one.key for one in self.outbox()]
            raise _unknown("effect", key, known, "raypipe outbox list")
        return rows.read_effect(row)

    @_act
    def begin_delivery(self, row: OutboxRow, due: float) -> OutboxRow | None:
        """Count an attempt at an effect; None if another began or ended one since it was read."""
        with self._db.writing():
            values = {"key": row.key, "attempts": row.attempts, "due": due}
            begun = self._db.do("begin_delivery", **values)
            mine = replace(row, attempts=row.attempts + 1, due=due)
            was_done = self._db.repeating and self.effect(row.key) == mine
        return mine if begun or was_done else None

    @_act
    def delivered(self, row: OutboxRow) -> None:
        """Record that an effect was carried out."""
        with self._db.writing():
            self._db.do("delivered", key=row.key, ended=self._now())

    @_act
    def not_delivered(self, row: OutboxRow, error: str, *, given_up: bool) -> None:
        """Record what an attempt came to; nothing if it is not the last one that began."""
        status, ended = ("given up", self._now()) if given_up else ("waiting", None)
        with self._db.writing():
            self._db.do(
                "not_delivered",
                key=row.key,
                attempts=row.attempts,
                status=status,
                ended=ended,
                error=error,
            )

    @_act
    def redo_effect(self, key: str) -> OutboxRow:
        """Let an effect be tried again at once, as if it never had been."""
        with self._db.writing():
            if not self._db.do("redo_effect", key=key, due=self._now()):
                found = self.effect(key)
                raise UsageError(f"{found.key} was delivered", hint="it is not repeated")
            return self.effect(key)

    @_act
    def drop_effect(self, key: str) -> OutboxRow:
        """Let an effect never be carried out."""
        with self._db.writing():
            if not self._db.do("drop_effect", key=key, ended=self._now()):
                found = self.effect(key)
                if not (self._db.repeating and found.status == "dropped"):
                    raise UsageError(f"{found.key} is {found.status} already")
            return self.effect(key)

    # --- looks ----------------------------------------------------------------------------------

    @_act
    def add_look(self, dataset: str, run: str, step: str) -> None:
        """Count a look at the analysis split of a dataset, once for a step of a run."""
        with self._db.writing():
            self._db.do("add_look", dataset=dataset, run=run, step=step, time=self._now())

    def looks(self, dataset: str) -> int:
        """Return how often the analysis split of a dataset was looked at."""
        row = self._db.one("looks", dataset=dataset)
        return int(row["looks"]) if row else 0

    # --- retention ------------------------------------------------------------------------------

    def find_old(self, keep: "Keep") -> "Old":
        """Return what has had its time and nothing needs."""
        from raypipe.store.retention import find_old

        return find_old(self._db, keep)

    def remove_old(self, old: "Old") -> None:
        """Remove what has had its time."""
        from raypipe.store.retention import remove_old

        remove_old(self._db, old, self._now())


def next_free(version: str, taken: set[str]) -> str:
    """Return a version, or the next patch of it that is not taken."""
    try:
        major, minor, patch = _parts(version)
    except ValueError:
        raise StoreError(f"{version!r} is no version; it should read like 1.0.0") from None
    while f"{major}.{minor}.{patch}" in taken:
        patch += 1
    return f"{major}.{minor}.{patch}"


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _only(found: Sequence[Row], what: str, name: str, known: list[str], command: str) -> Row:
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
    if review.status == "withdrawn":
        return _withdrawn(review)
    by = (review.actor.name or review.actor.user) if review.actor else "somebody"
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(review.decided))
    return UsageError(
        f"review {review.id} was {review.status} by {by} on {when}",
        hint="a decision stands; change the settings or the code, and run again for another",
    )


def _withdrawn(review: Review) -> UsageError:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(review.decided))
    return UsageError(
        f"review {review.id} was withdrawn on {when}: {review.note}",
        hint=f"`raypipe review show {review.newer}` shows the newer one"
        if review.newer
        else "run again: where its evidence comes again, it is asked for again",
    )


if TYPE_CHECKING:
    _fits: Ledger = SqlLedger(SqliteDatabase.empty())
