"""A sweep under way: which trial is next, what came of those before, and what is told of it."""

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from raypipe.errors import StepFailed
from raypipe.stages.tuning.halving import bars
from raypipe.stages.tuning.suggesting import identity, misfit, suggest
from raypipe.stages.tuning.trying import Asked, Work
from raypipe.values.tuning import Trial, ranked
from raypipe.values.words import amount


@dataclass
class Sweep:
    """Some trials of a search that are to be made, and those that are known."""

    work: Work
    numbers: tuple[int, ...]
    """Of the trials to be made."""
    known: dict[int, Trial]
    earlier: tuple[Trial, ...] = ()
    """Of other sweeps; the sampler goes by those that lie within the space."""
    _pending: dict[int, Asked] = field(default_factory=dict)
    _left: deque[int] = field(default_factory=deque)
    _held: list[Trial] = field(default_factory=list)
    """Failed trials, while none has come to anything: then it is the sweep that fails."""

    def __post_init__(self) -> None:
        self._left.extend(self.numbers)
        if self.earlier:
            own = [(identity(one.chosen), one.metrics) for one in self.known.values()]
            others = [o for o in self.earlier if (identity(o.chosen), o.metrics) not in own]
            misfits = [misfit(one, self.work.search) for one in others]
            self.earlier = tuple(o for o, why in zip(others, misfits, strict=True) if not why)
            left = Counter(filter(None, misfits))
            print(  # noqa: T201 - a line of the step's log
                f"learns from {amount(len(self.earlier), 'trial')} of earlier sweeps; "
                f"{left.total()} more cannot be used"
                + "".join(f"{', ' if n else ': '}{why} ({left[why]})" for n, why in enumerate(left))
            )

    @property
    def left(self) -> int:
        """How many trials were not begun."""
        return len(self._left)

    def next(self) -> Asked | None:
        """Return the next trial to make; None if there is none, or none before another ends.

        Settings that were tried are not tried again: what they came to is known.
        """
        while self._left:
            number = self._left[0]
            pending = {one.number: one.chosen for one in self._pending.values()}
            chosen = suggest(
                self.work.search, self.work.written, number, self.known, pending, self.earlier
            )
            if identity(chosen) in map(identity, pending.values()):
                return None
            self._left.popleft()
            twin = next((t for t in self._tried() if identity(t.chosen) == identity(chosen)), None)
            if twin is None:
                place = self.numbers.index(number)
                held_to = self._bars(chosen)
                asked = Asked(number=number, place=place, chosen=chosen, bars=held_to)
                self._pending[number] = asked
                return asked
            first = twin.number if twin.like is None else twin.like
            self.record(replace(twin, number=number, like=first, history=(), seconds=0.0))
        return None

    def _bars(self, chosen: dict[str, Any]) -> dict[int, float]:
        if self.work.search.halving is None:
            return {}
        try:
            epochs = self.work.settings(chosen).epochs
        except ValidationError:  # it fails, and says so
            return {}
        return bars(self.work.search, self._tried(), epochs)

    def record(self, trial: Trial) -> None:
        """Take note of what a trial came to, and hand it in."""
        self._pending.pop(trial.number, None)
        self.known[trial.number] = trial
        if trial.failed:
            self._held.append(trial)
        else:
            self._hand_in(trial)
        if ranked(list(self.known.values()), self.work.search):
            for failed in self._held:
                self._hand_in(failed)
            self._held.clear()
        self.tell()

    def outcome(self) -> list[Trial]:
        """Return the trials that were to be made; StepFailed if none at all came to anything."""
        if self._held:
            first = min(self._held, key=lambda trial: trial.number)
            raise StepFailed(
                f"none of {amount(len(self.known), 'trial')} came to anything; the first said: "
                f"{first.failed}",
                kind="SweepFailed",
                hint="`raypipe runs logs RUN` shows what they printed; nothing of it is kept, so "
                "that the next run tries again",
            )
        return [self.known[number] for number in self.numbers]

    def tell(self) -> None:
        """Say how far the sweep is, and what did best."""
        done = sum(number in self.known for number in self.numbers)
        best = ranked(list(self.known.values()), self.work.search)
        metric = self.work.search.metric
        said = f", best {metric} {best[0].metrics[metric]:.4g}" if best else ""
        self.work.context.progress(done, len(self.numbers), f"trials{said}")

    def _hand_in(self, trial: Trial) -> None:
        self.work.context.hand_in(self.numbers.index(trial.number), trial)

    def _tried(self) -> list[Trial]:
        return [self.known[number] for number in sorted(self.known)]
