"""Each report of a loop is written down where it arrives: in the controller of Ray Train.

That process imports this module, and waits for what it imports: neither torch nor settings.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from ray.train.v2.api.callback import UserCallback

from raypipe.engine.context import StepContext

REPORTS = "reports.jsonl"


class Reports(UserCallback):  # type: ignore[misc]
    """Writes each report down, and tells of it: Ray keeps only those with a checkpoint."""

    def __init__(self, file: Path, context: StepContext, epochs: int) -> None:
        self.file = file
        self.context = context
        self.epochs = epochs

    def after_report(
        self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any
    ) -> None:
        """Take the report of rank 0."""
        row = {name: plain(value) for name, value in metrics[0].items()}
        with self.file.open("a") as file:
            file.write(json.dumps(row) + "\n")
        number = len(self.file.read_text().splitlines())
        told = {name: value for name, value in row.items() if isinstance(value, int | float)}
        for name, value in told.items():
            self.context.log_metric(name, value, number)
        words = " ".join(f"{name} {value:.3g}" for name, value in told.items())
        self.context.progress(number, max(number, self.epochs), words)


def plain(value: Any) -> Any:
    """Return a metric as JSON has it."""
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, int | float | str | None) else repr(value)
