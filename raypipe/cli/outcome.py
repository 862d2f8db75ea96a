"""How a run or a plan ends on the command line: what is said of it, and the exit code."""

from raypipe.app.outcome import Outcome
from raypipe.cli.face import conclude_json, conclude_text, fault, note, plain
from raypipe.cli.render_outbox import undelivered
from raypipe.cli.render_plans import plan, summary

REVIEW_WANTED = 3
"""Exit code of a run that waits for a review, where `--require-done` was given."""


def conclude(outcome: Outcome, *, as_json: bool, require_done: bool = False) -> int:
    """Print what a run or a plan came to; return the exit code."""
    data = plain(outcome)
    if as_json:
        conclude_json(data)
    else:
        conclude_text(plan(data) if outcome.run is None else summary(data))
        if outcome.error is not None:
            note(fault(outcome.error))
    if outcome.outbox is not None:
        note(undelivered(outcome.outbox))
    waits = outcome.status == "waiting"
    return REVIEW_WANTED if require_done and waits else outcome.exit_code
