"""What validation found: anomalies, drift and a verdict."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["pass", "warn", "stop"]


@dataclass(frozen=True, kw_only=True)
class Found:
    """An anomaly before it is judged."""

    kind: str
    """`missing_column`, `range`, …: the names are those of the settings `validation.severities`."""
    column: str = ""
    """Empty where the rows as a whole are meant."""
    said: str
    """The sentence, without the column's name."""
    share: float | None = None
    """Share of rows that break it, where it can be said."""
    examples: tuple[str, ...] = ()
    allow: str = ""
    """What allows it besides a severity."""


@dataclass(frozen=True, kw_only=True)
class Anomaly:
    """A way in which data breaks its schema."""

    column: str
    """Empty where the rows as a whole are meant."""
    kind: str
    """`missing_column`, `range`, …: the names are those of the settings `validation.severities`."""
    severity: Literal["stop", "warn"]
    message: str
    """One sentence, with figures."""
    share: float | None = None
    """Share of rows that break it, where it can be said."""
    examples: tuple[str, ...] = ()
    """A few of the values that break it."""
    allow: str = ""
    """The setting that allows it, as one would write it."""

    @property
    def name(self) -> str:
        """What it is accepted by: `drift:temp`, or `duplicate_rows` for rows as a whole."""
        return f"{self.kind}:{self.column}" if self.column else self.kind


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """An anomaly that somebody expected, and said so."""

    anomaly: Anomaly
    by: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What validation found."""

    rows: int
    """Rows that were looked at, of all splits."""
    new_rows: int | None = None
    """Rows that were not among those accepted before; None: nothing had been accepted."""
    anomalies: tuple[Anomaly, ...] = ()
    """Those that stop first."""
    drift: dict[str, float]
    """Distance of the new rows from the accepted ones by column, where it can be said."""
    accepted: tuple[Accepted, ...] = ()
    """Anomalies that were expected: they neither stop nor warn."""
    unchecked: tuple[str, ...] = ()
    """What was not looked at, though the settings ask for it, in sentences."""

    @property
    def stops(self) -> tuple[Anomaly, ...]:
        """The anomalies that stop a run."""
        return tuple(found for found in self.anomalies if found.severity == "stop")

    @property
    def verdict(self) -> Verdict:
        """The worst that was found."""
        if self.stops:
            return "stop"
        return "warn" if self.anomalies else "pass"
