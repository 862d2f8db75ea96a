"""What the ledger knows of runs: what became of their steps, their attempts and their curves."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from json import loads
from pathlib import Path
from typing import Literal

from raypipe.engine.records import Json, Metric, RunRecord, RunStatus, StepState
from raypipe.errors import NotFound, StoreError
from raypipe.store import reviews, rows
from raypipe.store.given import given_of
from raypipe.store.ledger_part import LAST, LedgerPart, only, repeated
from raypipe.store.rows import ExecutionRow, dump

_END = ("run", "step", "name", "at", "value")


class RunRecords(LedgerPart):
    """A part of the ledger; each method that writes is one transaction."""

    @repeated
    def start_run(self, run: RunRecord) -> None:
        """Record that a run began."""
        record = asdict(run)
        given = given_of(record)
        with self._db.writing("given"):
            if given.digest and self._db.one("is_given", digest=given.digest) is None:
                self._db.many(
                    "add_given",
                    [{"digest": given.digest, "name": n, "value": v} for n, v in given.values],
                )
            added = self._db.do(
                "add_run",
                id=run.id,
                backwards=run.id[::-1],
                project=run.project,
                pipeline=run.pipeline,
                status=run.status,
                created=run.created,
                record=dump(record),
                given=given.digest,
            )
        if not added and not self._db.repeating:
            raise StoreError(f"there is a run {run.id} already", hint="run again, for another id")

    @repeated
    def end_run(self, run: str, status: RunStatus, error: Json = None) -> RunStatus:
        """Record that a run came to rest; one that was cancelled stays so. Return how it stands."""
        told = None if error is None else dump(error)
        with self._db.writing():
            self._db.do("end_run", id=run, status=status, ended=self._now(), error=told)
            self._db.do("add_found_ends", run=run)
        return self.standing(run)[0]

    @repeated
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

    @repeated
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

    @repeated
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

    @repeated
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
        return rows.read_run(only(found, "run", name, known, "raypipe runs list"))

    def run_steps(self, run: str) -> list[StepState]:
        """Return what became of the steps of a run, in their order."""
        return [rows.read_step(row) for row in self._db.all("run_steps", run=run)]

    # --- attempts -------------------------------------------------------------------------------

    @repeated
    def start_execution(self, run: str, step: str, *, key: str, host: str, reason: str = "") -> int:
        """Record that an attempt at a step began; return the number that its end is told by."""
        of = {"run": run, "step": step, "key": key}
        with self._db.writing(f"executions of {run}"):
            if self._db.repeating and (row := self._db.one("begun", **of)):
                return int(row["id"])
            more = {"host": host, "reason": reason, "started": self._now()}
            return self._db.insert("add_execution", **of, **more)

    @repeated
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

    # --- curves ---------------------------------------------------------------------------------

    @repeated
    def record_metrics(self, run: str, step: str, metrics: Sequence[Metric]) -> None:
        """Add points to the curves of a run; a point that is there is replaced."""
        points: list[Json] = [
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
        own = [] if "[" in step else points  # not of each trial of a sweep
        last = {one["name"]: one for one in sorted(own, key=lambda one: one["at"])}
        ends = [{key: one[key] for key in _END} for _, one in sorted(last.items())]
        with self._db.writing():
            self._db.many("add_metric", points)
            self._db.many("add_end", ends)

    def metrics(self, run: str, step: str | None = None) -> list[Metric]:
        """Return the points of a run's curves, or of those of one of its steps, curve by curve."""
        if step is None:
            found = self._db.all("metrics", run=run)
        else:
            found = self._db.all("metrics_of", run=run, step=step)
        return [rows.read_metric(row) for row in found]

    # --- looks at the analysis split ------------------------------------------------------------

    @repeated
    def add_look(self, dataset: str, run: str, step: str) -> None:
        """Count a look at the analysis split of a dataset, once for a step of a run."""
        with self._db.writing():
            self._db.do("add_look", dataset=dataset, run=run, step=step, time=self._now())

    def looks(self, dataset: str) -> int:
        """Return how often the analysis split of a dataset was looked at."""
        row = self._db.one("looks", dataset=dataset)
        return int(row["looks"]) if row else 0
