"""What a library of checks found in a sample of rows."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from raypipe.values.kinds import aside
from raypipe.values.signature import Task

CheckStatus = Literal["passed", "failed", "warning", "crashed", "not_applicable", "not_run"]
NOT_RAN = ("crashed", "not_applicable", "not_run")
"""Statuses of a check that said nothing about the rows."""


@dataclass(frozen=True, kw_only=True)
class Roles:
    """What the columns of a sample are to the checks."""

    label: str | None = None
    task: Task | None = None
    key: tuple[str, ...] = ()
    time: str | None = None
    in_time: bool = False
    """Whether rows are split by time; else moments that splits share are no fault."""
    aside: tuple[str, ...] = ()
    """Columns that are no features, such as one that names the split."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What a check demanded of the rows."""

    name: str
    status: Literal["pass", "warn", "fail", "error"]
    details: str = ""


@dataclass(frozen=True, kw_only=True)
class Check:
    """What one check came to."""

    name: str
    suite: str
    status: CheckStatus
    reason: str = ""
    """Why it did not run."""
    conditions: tuple[Condition, ...] = ()
    value: str = field(default="null", metadata=aside())
    """What it computed, as JSON."""

    @property
    def wrong(self) -> tuple[Condition, ...]:
        """The conditions that the rows do not keep."""
        return tuple(one for one in self.conditions if one.status != "pass")

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON can say it."""
        return {
            "check": self.name,
            "suite": self.suite,
            "status": self.status,
            "reason": self.reason,
            "conditions": [vars(one) for one in self.conditions],
            "value": json.loads(self.value),
        }


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What all checks came to: each that was asked for is here, whether it ran or not."""

    checks: tuple[Check, ...]
    rows: dict[str, int]
    """Rows of the sample, by split."""
    version: str = ""
    """Of deepchecks; empty where it did not start."""
    unfinished: str = ""
    """Why not all checks came to an end; empty where they did."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Columns that no check was given, and why."""
    page: Path | None = field(default=None, metadata=aside())
    """What checks drew, as HTML; values of the data are in it as they are."""
