"""What a model was asked and told, what that says of it, and the rows that become data."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from raypipe.values.evaluation import Estimate
from raypipe.values.kinds import aside
from raypipe.values.words import amount

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN = 5
"""Columns and examples that a summary names."""
LAST_ROW = (1 << 31) - 1
"""The last row that a label may be of; no request has so many."""


@dataclass(frozen=True, kw_only=True)
class LogPart:
    """The records of a segment of the request log, known by their content."""

    digest: str
    records: int
    uuid: str = field(metadata=aside())
    place: str = field(metadata=aside())
    """Path of where they were when they were listed; a segment may be sealed since."""


@dataclass(frozen=True, kw_only=True)
class Registered:
    """What is known of a version since it was registered."""

    version: str
    metrics: dict[str, tuple[float, float, float]]
    """Metric to (value, low, high) on the analysis split."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the scores of a version are like on rows like those that it was trained on."""

    scores: tuple[float, ...]
    said: str = ""
    """Why there are none."""


@dataclass(frozen=True, kw_only=True)
class Logged:
    """What a part of the request log says of one model."""

    asked: "pa.Table"
    """One row for each row that was answered.

    request, client, row, time, version, scores (null where a version has no such label, or gave no
    number), and `unseen`: the columns whose category training did not see.
    """
    fields: "pa.Table"
    """The values of these rows, in the types of the data; null where none of it was given."""
    labels: "pa.Table"
    """Labels that were told: request, row, label (as text), time, id."""


@dataclass(frozen=True, kw_only=True)
class LabelCounts:
    """What became of the labels, and of the rows that wait for one."""

    told: int
    """Labels of this model in the log, or of no model that is known."""
    joined: int
    """Rows that were asked and have a label."""
    replaced: int
    """Labels that a later one of the same row replaced."""
    unmatched: int
    """Rows that labels were told of, and no request in the log holds; they are kept."""
    unfit: int
    """Labels that are no class, or no number; they are left aside."""
    waiting: int
    """Rows that were asked and have no label yet."""
    examples: tuple[str, ...] = ()
    """A few of the requests that no log holds."""
    unfit_examples: tuple[str, ...] = ()
    """A few of the labels that fit none."""


@dataclass(frozen=True, kw_only=True)
class Joined:
    """All rows that one model was asked, in the order in which they were, with their labels."""

    asked: "pa.Table"
    """As in `Logged`, with `label` (its class, or a number, as text) and `told` (when)."""
    fields: "pa.Table"
    counts: LabelCounts


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How good the answers of one version are, by the labels that are known."""

    version: str
    asked: int
    labelled: int
    metrics: dict[str, Estimate]
    """Empty where `said` says why there is no figure."""
    registered: dict[str, tuple[float, float, float]]
    """Metric to (value, low, high) on the analysis split, from when it was registered."""
    groups: int = 0
    """Groups that the intervals resample."""
    by: tuple[str, ...] = ()
    """Columns that name the groups; none: each row is one."""
    confidence: float = 0.0
    said: str = ""

    def summary(self) -> dict[str, Any]:
        """Return what a person reads, as what JSON can say."""
        about = {"labels": self.labelled, "asked": self.asked}
        if self.said:
            return {**about, "quality": self.said}
        known = {name: f"{value:.4f}" for name, (value, _, _) in self.registered.items()}
        return {
            **about,
            **{
                name: str(one) + (f"; {known[name]} when registered" if name in known else "")
                for name, one in self.metrics.items()
            },
        }


@dataclass(frozen=True, kw_only=True)
class Distance:
    """How far the rows that were asked lie from those that the version was trained on."""

    distance: float
    """Jensen-Shannon divergence, from 0 to 1."""
    threshold: float

    @property
    def drifted(self) -> bool:
        """Whether it is more than the settings allow."""
        return self.distance > self.threshold

    def __str__(self) -> str:
        return f"{self.distance:.3f}, {'above' if self.drifted else 'within'} {self.threshold:g}"


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How far what one version was asked and answered lies from its training."""

    version: str
    rows: int
    columns: dict[str, Distance]
    """By column, the furthest first."""
    predictions: Distance | None
    """Scores that were answered, beside those for a sample of the train split."""
    unseen: dict[str, int]
    """Column to the rows with a category that training did not see."""
    said: str = ""
    """What could not be compared, and why."""

    @property
    def drifted(self) -> dict[str, Distance]:
        """The columns that lie further than the settings allow."""
        return {name: one for name, one in self.columns.items() if one.drifted}

    def summary(self) -> dict[str, Any]:
        """Return what a person reads, as what JSON can say."""
        furthest = list(self.columns.items())[: max(SHOWN, len(self.drifted))]
        said: dict[str, Any] = {name: str(one) for name, one in furthest}
        if self.predictions is not None:
            said["predictions"] = str(self.predictions)
        said |= {f"{name}, unseen": amount(rows, "row") for name, rows in self.unseen.items()}
        return {**said, **({"not compared": self.said} if self.said else {})}


@dataclass(frozen=True, kw_only=True)
class Captured:
    """Rows that were asked and have a label, offered to become a part of the data.

    What is decided on is the rows. What was known beside them when they were offered first is
    shown, and does not count: the same rows are asked for once, whatever else was asked meanwhile.
    """

    rows: "pa.Table"
    """The columns of the data, and no others."""
    requests: tuple[str, ...]
    """`REQUEST/ROW` of each."""
    labels: tuple[str, ...]
    """Its label, as text."""
    into: str
    """The dataset reference that they are offered to."""
    days: str = field(default="", metadata=aside())
    """How many, from when to when."""
    shares: dict[str, str] = field(default_factory=dict, metadata=aside())
    """Class to its share here, and in the data."""
    left_out: dict[str, int] = field(default_factory=dict, metadata=aside())
    """Why labelled rows are not among them, and how many."""
    changed: int = field(default=0, metadata=aside())
    """Rows of earlier captures whose label has changed since; the data keeps the old one."""
    quality: tuple[Quality, ...] = field(default=(), metadata=aside())
    drift: tuple[Drift, ...] = field(default=(), metadata=aside())

    @property
    def count(self) -> int:
        """How many rows."""
        return len(self.requests)

    def summary(self) -> dict[str, Any]:
        """Return what a person needs to decide, as what JSON can say."""
        said: dict[str, Any] = {"rows": self.count, "for": self.into, "days": self.days}
        if self.shares:
            said["label"] = self.shares
        if self.left_out:
            said["left out"] = self.left_out
        if self.changed:
            said["labels changed since an earlier capture"] = (
                f"{self.changed:,}; the data keeps the labels that were accepted"
            )
        said["live quality"] = {one.version: one.summary() for one in self.quality}
        said["drift from training"] = {one.version: one.summary() for one in self.drift}
        return said


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What requests and labels came to: all that is told of it, and the rows that it gives."""

    captured: Captured
    """The rows alone; what is known beside them is here."""
    days: str
    shares: dict[str, str]
    left_out: dict[str, int]
    changed: int
    offered: bool
    """Whether a person is asked about the rows."""
    said: str
    """Why nobody is asked."""
    quality: tuple[Quality, ...]
    drift: tuple[Drift, ...]

    def offer(self) -> Captured | None:
        """Return what a person is asked about; None where nobody is."""
        if not self.offered:
            return None
        return replace(
            self.captured,
            days=self.days,
            shares=self.shares,
            left_out=self.left_out,
            changed=self.changed,
            quality=self.quality,
            drift=self.drift,
        )
