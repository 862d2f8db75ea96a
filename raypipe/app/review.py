"""Decisions that runs wait for: what they are about, and making them."""

from dataclasses import asdict
from pathlib import Path
from typing import Literal

from raypipe.app import captured
from raypipe.app.assemble import Workshop
from raypipe.app.look import look, workshop_of
from raypipe.engine.records import Json, Review, StepState
from raypipe.errors import NotFound, StoreError, UsageError
from raypipe.fault_points import fault_point


def list_reviews(home: Path | None) -> list[Review]:
    """Return every review, newest first."""
    return list(look(home).ledger.list_reviews())


def show_review(name: str, home: Path | None) -> Json:
    """Return a review with its evidence: the verdict, the metrics, and where the report lies."""
    workshop = look(home)
    review = workshop.ledger.get_review(name)
    states = {state.name: state for state in workshop.ledger.run_steps(review.run)}
    shown = _shown(workshop, review)
    return {
        **asdict(review),
        "command": _command_of(workshop, review),
        "shown": shown,
        "report": _page(workshop, states.get("report")),
        "data_report": _page(workshop, states.get("report_data")),
    }


def _page(workshop: Workshop, step: StepState | None) -> str | None:
    """Return where the page lies that a step wrote."""
    if step is None or step.digest is None:
        return None
    return str(workshop.codec.decode(workshop.artifacts.read(step.digest), workshop.artifacts))


def decide(
    name: str, status: Literal["approved", "rejected"], *, by: str, note: str, home: Path | None
) -> Json:
    """Decide on a review, once; deciding the same again changes nothing, and is said.

    Returns the review, with the command that goes on from there.
    """
    if not by.strip():
        raise UsageError("a review is decided by somebody", hint="name them: --by NAME")
    look(home).ledger.get_review(name)
    workshop = workshop_of(home, by=by)
    before = workshop.ledger.get_review(name)

    def enter() -> Review:
        decided = workshop.ledger.decide_review(before.id, status, workshop.actor, note)
        if status == "approved":
            workshop.ledger.ask_for(captured.of_review(decided))
        return decided

    decided = workshop.ledger.together(enter)
    fault_point("review.decided")
    return {
        **asdict(decided),
        "already": before.status != "open",
        "command": _command_of(workshop, decided),
    }


def _command_of(workshop: Workshop, review: Review) -> str:
    try:
        run = workshop.ledger.get_run(review.run)
    except NotFound:
        if review.status != "withdrawn":
            raise
        return ""
    return str((run.parameters or {}).get("command", ""))


def _shown(workshop: Workshop, review: Review) -> Json:
    """Return the evidence for people; that of a withdrawn review may be gone."""
    try:
        evidence = workshop.artifacts.read(review.evidence)
        value = workshop.codec.decode(evidence, workshop.artifacts)
    except StoreError:
        if review.status != "withdrawn":
            raise
        return "its evidence is gone"
    return value.summary() if hasattr(value, "summary") else str(value)
