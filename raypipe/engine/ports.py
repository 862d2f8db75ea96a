"""What the engine asks of the world: small protocols, named for their roles."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from raypipe.engine.records import (
    Actor,
    ArtifactStat,
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

Made = TypeVar("Made")


class Artifacts(Protocol):
    """Bytes, files and folders under their content digest; whole or not at all.

    An artifact never changes. Publishing what is there already does nothing. Safe for many
    processes at once.
    """

    def put_bytes(self, data: bytes, digest: str | None = None) -> ArtifactStat:
        """Publish bytes; `digest` where it is another: a manifest's is that of its tree."""
        ...

    def put_path(self, path: Path) -> ArtifactStat:
        """Publish a copy of a file or folder.

        Its digest is of contents and, in a folder, relative paths.
        """
        ...

    def read(self, digest: str) -> bytes:
        """Return what put_bytes was given; StoreError if it is gone or torn."""
        ...

    def view(self, digest: str) -> bytes | memoryview:
        """Return the same, perhaps where others read it too; it cannot be written to."""
        ...

    def path(self, digest: str) -> Path:
        """Return where put_path's copy lies, under the base name it came with; read-only."""
        ...

    def intact(self, stat: ArtifactStat) -> bool:
        """Say whether the artifact is still whole.

        By size and mtime, by full digest where these differ.
        """
        ...

    def returned(self, stat: ArtifactStat) -> bool:
        """Say whether what `path` gave is still as it was published; else it is taken away."""
        ...

    def stat(self, digest: str) -> ArtifactStat:
        """Return what an artifact looks like now; OSError if it is gone."""
        ...

    def verify(self, digest: str) -> bool:
        """Say whether what lies under a digest has that digest; reads all of it."""
        ...

    def remove(self, digest: str) -> None:
        """Remove an artifact; one that is not there is no error."""
        ...


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A value, written down."""

    digest: str
    """Of the value: the same for a literal and for an artifact."""
    manifest: bytes
    """JSON; small values whole, large ones by the digests of their blobs."""
    blobs: tuple[bytes | Path, ...] = ()
    """What must be published beside the manifest."""


class Codec(Protocol):
    """How values are written down and read back."""

    def encode(self, value: Any) -> Encoded:
        """Write a value down; TypeError names the type that cannot be kept, and its place."""
        ...

    def decode(self, manifest: bytes, artifacts: Artifacts) -> Any:
        """Read a value back."""
        ...

    def field(self, manifest: bytes, path: Sequence[str | int]) -> tuple[str, bytes]:
        """Return digest and manifest of a part of a value.

        A dataclass field, a dict's key, a sequence's index.
        """
        ...

    def items(self, manifest: bytes) -> list[tuple[str, bytes]] | None:
        """Return digest and manifest of each item of a list or tuple; None for another value."""
        ...

    def gather(self, parts: "Argument") -> tuple[str, bytes]:
        """Return digest and manifest of a list, tuple or dict of values, nested as they are."""
        ...

    def classes(self, manifest: bytes) -> frozenset[str]:
        """Return `module:qualname` of each class that a value holds values of.

        And of the code that code references in it name.
        """
        ...


class Ledger(Protocol):
    """The durable record of runs and results. Every method is one transaction."""

    def together(self, act: Callable[[], Made]) -> Made:
        """Make what is written by an act of several one transaction.

        It is carried out again where the ledger's server is lost before it answers.
        """
        ...

    def start_run(self, run: RunRecord) -> None: ...
    def end_run(self, run: str, status: RunStatus, error: Json = None) -> RunStatus:
        """Record that a run came to rest; return how it stands: a cancelled one stays so."""
        ...

    def save_steps(self, run: str, steps: Iterable[StepState]) -> None:
        """Upsert what became of steps of a run."""
        ...

    def start_execution(self, run: str, step: str, *, key: str, host: str, reason: str = "") -> int:
        """Record that an attempt at a step began; return the number that its end is told by."""
        ...

    def end_execution(
        self,
        execution: int,
        status: Literal["succeeded", "failed", "cancelled"],
        error: Json = None,
    ) -> None:
        """Record how an attempt ended; the first word on it stands."""
        ...

    def live_results(self, keys: Sequence[str], now: float) -> Mapping[str, Result]:
        """Return the live, unexpired results among these keys."""
        ...

    def latest_result(self, project: str, pipeline: str, step: str) -> Result | None:
        """Return the result of a step that the newest run of the pipeline used or made."""
        ...

    def record(
        self,
        result: Result,
        fingerprint: Fingerprint,
        *,
        forced: bool = False,
    ) -> Result:
        """Record a result; if the key has a live one, that one is returned (the first wins).

        Unless forced, which supersedes it.
        """
        ...

    def record_metrics(self, run: str, step: str, metrics: Sequence[Metric]) -> None:
        """Add points to the curves of a run; a point that is there is replaced."""
        ...

    def supersede(self, key: str, why: str) -> None:
        """Take the live result of a key out of use (lost artifact); it stays for lineage."""
        ...

    def fingerprint(self, digest: str) -> Fingerprint | None: ...
    def find_review(
        self, project: str, pipeline: str, step: str, evidence: str
    ) -> Review | None: ...
    def open_review(
        self, review: Review, effects: Callable[[Review], Sequence[Effect]] = lambda review: ()
    ) -> Review:
        """Ask for a decision; one on the same evidence is returned, but if it was withdrawn.

        `effects` says what a new one asks for, which is entered in the same act.
        """
        ...


Argument = bytes | list["Argument"] | tuple["Argument", ...] | dict[Any, "Argument"]
"""A manifest, or a list, tuple or dict of manifests."""


AuditMode = Literal["warn", "strict", "off"]


@dataclass(frozen=True, kw_only=True)
class StepCall:
    """One execution of one step, or of one batch of a batched step."""

    id: str
    step: str
    """Name in the run."""
    target: str
    """`module:qualname` of the function."""
    root: Path
    """The project root."""
    folders: tuple[str, ...]
    """Folders, relative to the root, on sys.path where the step runs."""
    arguments: Mapping[str, Argument]
    """Parameter to manifest."""
    batch: str | None
    """For a batched step: the parameter that is a list of items.

    The output is a list of the same length.
    """
    resources: Mapping[str, float]
    """num_cpus, num_gpus, memory and custom resources."""
    timeout: float | None
    scratch: Path
    """A folder of this key's own.

    What is in it survives a crash, and goes when the result is recorded.
    """
    events: Path
    """JSON lines of progress and metrics that the step appends to."""
    run: str
    home: Path
    attempt: int = 1
    """Which try in this run it is, from 1."""
    declared: tuple[str, ...] = ()
    """What else its result depends on, as `depends_on` says it."""
    expires: float | None = None
    audit: AuditMode = "off"
    """What is done about what it reads and does not declare."""
    passed_on: bool = False
    """Another step of the run waits for what it gives."""
    stats: Mapping[str, ArtifactStat] = field(default_factory=dict)
    """What the artifacts that it is given looked like when they were published, by digest."""
    function: Callable[..., Any] | None = field(default=None, compare=False)
    """The function itself, for a runtime in this process."""
    listen: Callable[[], None] | None = field(default=None, compare=False)
    """Looks at the events at once, for a runtime in this process: its driver stands still."""
    give_up: Callable[[Exception], None] | None = field(default=None, compare=False)
    """Records that the call cannot be ended, for a runtime in this process, which ends then."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """One output, published where the driver can record it."""

    root: str
    artifacts: tuple[ArtifactStat, ...]


@dataclass(frozen=True, kw_only=True)
class CallOutcome:
    """How a call ended: outputs (one, or one an item of a batch), or an error."""

    id: str
    outputs: tuple[Published, ...] = ()
    error: Exception | None = None
    seconds: float = 0.0


class Runtime(Protocol):
    """Where steps run. Calls run in any order; each gives exactly one outcome."""

    @property
    def room(self) -> int:
        """Most calls that it is given at once."""
        ...

    def submit(self, call: StepCall) -> None: ...
    def wait(self, seconds: float) -> list[CallOutcome]:
        """Return what has ended, waiting at most so long for the first."""
        ...

    def close(self) -> None:
        """End everything that was started; no process is left."""
        ...


class Scratch(Protocol):
    """Folders that steps work in; they survive a crash of the run."""

    def make(self, keys: tuple[str, ...]) -> Path:
        """Make the folder of a key, or of those of a batch; what is in it already stays."""
        ...

    def events(self, folder: Path, since: int) -> tuple[list[Json], int]:
        """Return what a step told after an offset, and the offset now."""
        ...

    def drop(self, folder: Path) -> None:
        """Remove a folder and what is in it."""
        ...


class Claim(Protocol):
    """The right to make a result; it only saves work."""

    def release(self) -> None: ...


class Claims(Protocol):
    """Who makes what, among processes that may end or be stopped at any moment."""

    def claim(self, key: str, *, firm: bool = False) -> Claim | None:
        """Return a claim on a key; None while somebody holds it.

        A holder who has not moved for long loses it, but for a `firm` one: that is the holder's for
        as long as his process is there.
        """
        ...

    def share(self, key: str) -> Claim:
        """Return a claim that others may hold too, once nobody has it for himself."""
        ...

    def is_held(self, key: str) -> bool:
        """Say whether a process holds a claim, moving or not; nothing is made."""
        ...

    def standing(self, key: str) -> Literal["free", "held", "still", "lapsed"]:
        """Say how a claim stands; nothing is made.

        `still`: at a glance its holder seems not to move. `lapsed`: this object has seen for long
        that he does not.
        """
        ...

    def sweep(self) -> None:
        """Remove what processes left behind that are gone."""
        ...


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The world, as the engine is given it."""

    ledger: Ledger
    artifacts: Artifacts
    codec: Codec
    fingerprint: Callable[[str, tuple[str, ...]], Fingerprint]
    """From a step's `module:qualname` and the code references in its parameters to the
    fingerprint.
    """
    reread: Callable[[str, tuple[str, ...]], Fingerprint]
    """The same, of the files as they are now."""
    environment: Callable[[tuple[str, ...]], Mapping[str, str]]
    """From a step's `depends_on` to the digests of what it names."""
    lookups: Mapping[str, Callable[[Mapping[str, str]], str | None]]
    """Facts of the ledger, by name.

    From the digests of the arguments to the digest of a kept value.
    """
    claim: Callable[[str], Claim | None]
    """A claim on a key; None while another process makes its result."""
    now: Callable[[], float]
    """Seconds since the epoch."""
    actor: Actor
    project: str
    root: Path
    """The project root."""
    folders: tuple[str, ...]
    """Folders with code, relative to the root, on sys.path where steps run."""
    home: Path
    scratch: Scratch
    pause: Callable[[float], None]
    """Wait for some seconds."""
    compare: Callable[[Any, Result], str | None] = lambda value, before: None
    """How a value differs from what an earlier result was given, where the world knows more of it
    than its texts say: which shards of a dataset are new. None: it does not.
    """
    effects_of: Callable[[Review], Sequence[Effect]] = lambda review: ()
    """What a review that opens asks for outside the ledger: that somebody is told."""
