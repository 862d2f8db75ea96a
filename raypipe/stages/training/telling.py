"""What a training says on its way: curves, metrics, rows a second, how far it is."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raypipe.engine.context import StepContext

if TYPE_CHECKING:
    from raypipe.model.loop import EpochEnd

OFTEN = 0.5
"""Seconds between two words within an epoch."""


@dataclass(kw_only=True)
class Teller:
    """Reports each epoch with a point on each curve, and now and then how far an epoch is."""

    context: StepContext
    rows: int
    """Of the train split."""
    epochs: int
    _metrics: str = ""
    _rate: str = ""
    _at: float = 0.0
    """When it last spoke."""
    _rows: float = 0.0
    """Rows that were trained on then, over all epochs; 0: the pace is not known."""

    def __call__(self, end: "EpochEnd") -> None:
        """Report the end of an epoch."""
        for name, value in end.metrics.items():
            self.context.log_metric(name, value, end.epoch)
        self._metrics = in_words(end.metrics)
        self._say(end.epoch)
        self._rows = 0.0  # what comes next begins after the validation split was measured

    def batch(self, epoch: int, batches: int, of: int) -> None:
        """Report how far an epoch is, unless it was said just now."""
        now, done = time.monotonic(), epoch - 1 + batches / of
        if not self._rows:
            self._at, self._rows = now, done * self.rows
        elif now - self._at >= OFTEN:
            self._rate = f"{(done * self.rows - self._rows) / (now - self._at):,.0f} rows/s"
            self._at, self._rows = now, done * self.rows
            self._say(done)

    def _say(self, done: float) -> None:
        what = ", ".join(part for part in (self._metrics, self._rate) if part)
        self.context.progress(done, self.epochs, what)


def in_words(metrics: dict[str, float]) -> str:
    """Return the metrics of the validation split in a few words: `loss 0.41 auc 0.73`."""
    return " ".join(
        f"{name} {value:.3g}" for name, value in metrics.items() if name != "train_loss"
    )
