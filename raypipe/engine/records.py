"""The records that the engine, the ledger and the faces share: frozen, JSON in and out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

Json = Any
"""What json.dumps takes."""


class RunStatus(StrEnum):
    """Where a run stands."""

    RUNNING = "running"  # a process works on it
    SUCCEEDED = "succeeded"  # every step has its result
    WAITING = "waiting"  # a review is open; no process holds it
    FAILED = "failed"  # a step, validation or the verdict stopped it
    REJECTED = "rejected"  # a person said no
    CANCELLED = "cancelled"  # a person stopped it
    LOST = "lost?"  # never recorded: it says that it is running, and its process does not move


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What is to be done outside the ledger because of a fact in it, once."""

    key: str
    """Its idempotency key: no second effect is entered under it."""
    kind: str
    """Who carries it out."""
    payload: Json
    """What they need to know."""


Action = Literal["hit", "execute", "wait", "open"]
ReasonKind = Literal[
    "same",  # hit
    "new",
    "code",
    "package",
    "parameter",
    "input",
    "environment",
    "forced",
    "lost artifact",
    "expired",
    "uncached",
    "upstream",  # open: an upstream output is not known yet
    "review",  # wait
    "approved",  # hit: a review that was given
    "skipped",  # hit: its `when` is False, and its output None
    "rejected",
]


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a step is what it is in a plan."""

    kind: ReasonKind
    what: str = ""
    """The symbol, package, parameter, input or variable that differs, by name."""
    detail: str = ""
    """How it differs, in a few words."""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.kind, self.what, self.detail) if part)


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """The code that a step can reach."""

    digest: str
    symbols: Mapping[str, str]
    """`module:name` to the digest of its normalised syntax tree."""
    packages: Mapping[str, str]
    """Third-party distribution to its version."""
    widened: tuple[str, ...] = ()
    """Names that could not be resolved, and what they were widened to."""
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Digest of a symbol to its source text, for `why`; kept once a digest."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Everything that went into a key, by name: what `why` compares; and what was given aside."""

    fingerprint: str
    """Digest of the fingerprint; the ledger keeps its parts."""
    parameters: Mapping[str, str]
    """Parameter to the digest of its literal value."""
    inputs: Mapping[str, str]
    """Parameter to the digest of the artifact it was given."""
    environment: Mapping[str, str]
    """Declared file or variable to the digest of its content."""
    shown: Mapping[str, str] = field(default_factory=dict)
    """Parameter to a short text of its value, for people."""
    aside: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Parameter that does not count to the digest of the artifact it was given: for lineage."""


@dataclass(frozen=True, kw_only=True)
class ArtifactStat:
    """What an artifact's file looked like when it was published."""

    digest: str
    size: int
    mtime_ns: int
    """Of the file, or of the newest file or folder in a folder."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """A kept result: the one live row of a key."""

    key: str
    step: str
    """Name of the step in its run: `f`, `f#2`, `f[0]`."""
    root: str
    """Digest of the output."""
    artifacts: tuple[ArtifactStat, ...]
    """The manifest and every blob that the output is made of."""
    explanation: Explanation
    run: str
    seconds: float
    """How long the step's function ran, wall time."""
    created: float
    """Seconds since the epoch."""
    id: int = 0
    """Row in the ledger; 0 before it is recorded."""
    expires: float | None = None
    """Seconds since the epoch after which it is no longer found; None: never."""
    superseded: str | None = field(default=None, compare=False)
    """Why it is out of use, perhaps with what happened after a colon; None while it is in use."""


@dataclass(frozen=True, kw_only=True)
class StepState:
    """What became of one step of a run: the record that every face reads."""

    name: str
    action: Action
    reason: Reason
    digest: str | None = None
    """Of the output, once it is known."""
    seconds: float | None = None
    key: str | None = None

    def to_json(self) -> Json:
        """The state as a JSON object, as `--json` prints it."""
        return {
            "name": self.name,
            "action": self.action,
            "reason": {
                "kind": self.reason.kind,
                "what": self.reason.what,
                "detail": self.reason.detail,
            },
            "digest": self.digest,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who did something."""

    user: str
    """Name in the operating system."""
    host: str
    name: str | None = None
    """The name that was given with `--by`."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One pipeline, started once."""

    id: str
    project: str
    pipeline: str
    status: RunStatus
    created: float
    actor: Actor
    ended: float | None = None
    parameters: Json = None
    """The pipeline's parameters as JSON text for people."""
    settings: Json = None
    """The resolved settings, for a cycle."""
    commits: Mapping[str, str] = field(default_factory=dict)
    """Dataset reference to the commit that it was resolved to."""
    error: Json = None
    given: Json = None
    """The pipeline's parameters as they are read back when the run is resumed."""
    code: str = ""
    """Digest of the snapshot of the project's code that it used; "" where it executed nothing."""
    where: Json = None
    """The runtime, and the address of its cluster."""
    place: str = ""
    """The target's file, relative to the project's root; "" where it cannot be resumed."""
    resumes: str = ""
    """The run that this one goes on from, as it was asked to."""


@dataclass(frozen=True, kw_only=True)
class Review:
    """A decision asked for, bound to the digest of its evidence."""

    id: str
    project: str
    pipeline: str
    step: str
    run: str
    evidence: str
    """Digest of what was shown."""
    status: Literal["open", "approved", "rejected", "withdrawn"]
    created: float
    actor: Actor | None = None
    note: str | None = None
    """What was said with the decision, or why it was withdrawn."""
    decided: float | None = None
    """When it was decided or withdrawn."""
    newer: str | None = None
    """The review for which it was withdrawn."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One point of a curve."""

    name: str
    value: float
    step: int
    """Epoch, batch or trial: whatever the curve runs over."""
    time: float
