"""Rows of the ledger: those that the engine does not know, and how all are written and read."""

import json
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Literal

from raypipe.engine.records import (
    Actor,
    ArtifactStat,
    Explanation,
    Json,
    Metric,
    Reason,
    Result,
    Review,
    RunRecord,
    RunStatus,
    StepState,
)
from raypipe.store.database import Row

ExecutionStatus = Literal["running", "succeeded", "failed", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class ModelVersionRow:
    """A version of a model, and what it came from."""

    model: str
    version: str
    """Semantic version, derived."""
    bundle: str
    """Digest of the bundle's folder."""
    candidate: str
    """Digest of the checkpoint."""
    evaluation: str
    """Digest of the evaluation."""
    run: str
    created: float
    actor: Actor
    changelog: Json
    lineage: Json
    compared_with: str | None = None
    """Digest of the version value that was champion when this was judged; None for the first."""
    value: str = ""
    """Digest of the kept `ModelVersion`."""


@dataclass(frozen=True, kw_only=True)
class Remark:
    """What somebody says of a run."""

    kind: Literal["tag", "note"]
    said: str
    actor: Actor
    time: float


@dataclass(frozen=True, kw_only=True)
class ExecutionRow:
    """One attempt at one step of a run."""

    id: int
    run: str
    step: str
    key: str
    attempt: int
    """1 for the first of this step in this run."""
    status: ExecutionStatus
    started: float
    host: str
    reason: str
    ended: float | None = None
    error: Json = None


@dataclass(frozen=True, kw_only=True)
class AliasChange:
    """An alias of a model was pointed to a version."""

    alias: str
    version: str
    actor: Actor
    time: float
    back: bool = False
    """It went back there."""


@dataclass(frozen=True, kw_only=True)
class RouteRow:
    """How a model's requests are divided among its versions."""

    model: str
    shares: dict[str, float]
    """Version to share, the champion first; they sum to 1."""
    actor: Actor
    time: float


EffectStatus = Literal["waiting", "delivered", "given up", "dropped"]


@dataclass(frozen=True, kw_only=True)
class OutboxRow:
    """An effect that was asked for, and what became of it."""

    id: int
    key: str
    kind: str
    payload: Json
    status: EffectStatus
    attempts: int
    created: float
    due: float
    """Not tried again before."""
    ended: float | None = None
    error: str | None = None
    """What the last attempt came to, if to nothing."""


@dataclass(frozen=True, kw_only=True)
class CaptureRow:
    """Captured rows that were accepted and became a part of a dataset."""

    evidence: str
    """Digest of the value that was reviewed."""
    commit: str
    rows: int
    actor: Actor
    time: float


@dataclass(frozen=True, kw_only=True)
class HoldRow:
    """What a person keeps from being removed."""

    kind: str
    """`run`, `artifact` or `version`."""
    name: str
    """A run's id, a digest, or MODEL@VERSION."""
    note: str
    actor: Actor
    time: float


Word = Literal["pass", "stop", "accepted"]


@dataclass(frozen=True, kw_only=True)
class VerdictRow:
    """What validation, or a person, said of data."""

    content: str
    """Digest of the paths and object ids of its shards."""
    verdict: Word
    dataset: str
    """Where it lay, at its commit."""
    run: str = ""
    """That looked at it; empty where a person alone spoke."""
    evidence: str = ""
    """Digest of what validation found; empty where nobody looked."""
    actor: Actor
    note: str = ""
    time: float = 0.0

    @property
    def lets_in(self) -> bool:
        """Whether the data may come to a protected branch."""
        return self.verdict != "stop"


@dataclass(frozen=True, kw_only=True)
class ProtectionRow:
    """A branch of data that only validated data comes to."""

    dataset: str
    """SCHEME://REPO/BRANCH, with /PATH."""
    gate: str = ""
    """What lakeFS asks; empty where the branch is not lakeFS's."""
    action: str = ""
    """Object id of the file that says so."""
    server: str = ""
    """Endpoint of the lakeFS that has the branch; empty where the branch is not lakeFS's."""
    actor: Actor
    time: float = 0.0


@dataclass(frozen=True, kw_only=True)
class RefusalRow:
    """What a gate would not have."""

    dataset: str
    """The protected one."""
    event: str
    """`pre-merge`, …"""
    source: str
    """The branch or commit that was to come in."""
    commit: str
    """Of that source; empty where nobody says."""
    reason: str
    time: float = 0.0


def dump(value: Any) -> str:
    """Write a record's JSON."""
    return json.dumps(value, separators=(",", ":"), default=str)


def _known(kind: type, record: dict[str, Any]) -> dict[str, Any]:
    """Return what a class of today has fields for: a record of an earlier one may say more."""
    names = _names(kind)
    return {name: value for name, value in record.items() if name in names}


@cache
def _names(kind: Any) -> frozenset[str]:
    return frozenset(one.name for one in fields(kind))


def read_run(row: Row) -> RunRecord:
    """Read a row of `runs`."""
    record = json.loads(row["record"])
    record |= {
        "status": RunStatus(row["status"]),
        "ended": row["ended"],
        "error": json.loads(row["error"]) if row["error"] else None,
        "actor": Actor(**record["actor"]),
    }
    return RunRecord(**_known(RunRecord, record))


def read_step(row: Row) -> StepState:
    """Read a row of `run_steps`."""
    record = json.loads(row["state"])
    record["reason"] = Reason(**_known(Reason, record["reason"]))
    return StepState(**_known(StepState, record))


def read_result(row: Row, artifacts: list[Row]) -> Result:
    """Read a row of `results`, with those of what it is made of."""
    return Result(
        id=row["id"],
        key=row["key"],
        step=row["step"],
        root=row["root"],
        artifacts=tuple(
            ArtifactStat(digest=one["digest"], size=one["size"], mtime_ns=one["mtime_ns"])
            for one in artifacts
        ),
        explanation=Explanation(**_known(Explanation, json.loads(row["explanation"]))),
        run=row["run"],
        seconds=row["seconds"],
        created=row["created"],
        expires=row["expires"],
        superseded=row["superseded"],
    )


def read_metric(row: Row) -> Metric:
    """Read a row of `metrics`; SQLite keeps what is not a number as NULL."""
    value = float("nan") if row["value"] is None else row["value"]
    return Metric(name=row["name"], value=value, step=row["at"], time=row["time"])


def read_execution(row: Row) -> ExecutionRow:
    """Read a row of `executions`."""
    record = dict(row)
    return ExecutionRow(**{**record, "error": json.loads(record["error"] or "null")})


def read_review(row: Row) -> Review:
    """Read a row of `reviews`."""
    record = json.loads(row["record"])
    actor = Actor(**record["actor"]) if record["actor"] else None
    return Review(**_known(Review, {**record, "actor": actor}))


def read_version(row: Row) -> ModelVersionRow:
    """Read a row of `model_versions`."""
    record = json.loads(row["record"])
    record["actor"] = Actor(**record["actor"])
    return ModelVersionRow(**_known(ModelVersionRow, record))


def read_alias_change(row: Row) -> AliasChange:
    """Read a row of `alias_history`."""
    actor = Actor(**json.loads(row["actor"]))
    return AliasChange(
        alias=row["alias"],
        version=row["version"],
        actor=actor,
        time=row["time"],
        back=bool(row["back"]),
    )


def read_route(model: str, row: Row) -> RouteRow:
    """Read a row of `routes`."""
    actor = Actor(**json.loads(row["actor"]))
    return RouteRow(model=model, shares=json.loads(row["shares"]), actor=actor, time=row["time"])


def read_capture(row: Row) -> CaptureRow:
    """Read a row of `captures`."""
    return CaptureRow(
        evidence=row["evidence"],
        commit=row["commit_id"],
        rows=row["row_count"],
        actor=Actor(**json.loads(row["actor"])),
        time=row["time"],
    )


def read_hold(row: Row) -> HoldRow:
    """Read a row of `holds`."""
    return HoldRow(
        kind=row["kind"],
        name=row["name"],
        note=row["note"],
        actor=Actor(**json.loads(row["actor"])),
        time=row["time"],
    )


def read_effect(row: Row) -> OutboxRow:
    """Read a row of `outbox`."""
    record = {name: row[name] for name in row.keys()}  # noqa: SIM118
    return OutboxRow(**{**record, "payload": json.loads(record["payload"])})


def read_verdict(row: Row) -> VerdictRow:
    """Read a row of `verdicts`."""
    record = {name: row[name] for name in _names(VerdictRow)}
    return VerdictRow(**{**record, "actor": Actor(**json.loads(record["actor"]))})


def read_protection(row: Row) -> ProtectionRow:
    """Read a row of `protections`."""
    record = {name: row[name] for name in _names(ProtectionRow)}
    return ProtectionRow(**{**record, "actor": Actor(**json.loads(record["actor"]))})


def read_refusal(row: Row) -> RefusalRow:
    """Read a row of `refusals`."""
    return RefusalRow(
        dataset=row["dataset"],
        event=row["event"],
        source=row["source"],
        commit=row["commit_id"],
        reason=row["reason"],
        time=row["time"],
    )
