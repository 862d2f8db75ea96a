"""Decisions that runs wait for: what they are about, and making them."""

from dataclasses import asdict
from pathlib import Path
from typing import Literal

from raypipe.app.look import look, workshop_of
from raypipe.engine.records import Json, Review


def list_reviews(home: Path | None) -> list[Review]:
    """Return every review, newest first."""
    return list(look(home).ledger.list_reviews())


def show_review(name: str, home: Path | None) -> Json:
    """Return a review with its evidence: the verdict, the metrics, and where the report lies."""
    workshop = look(home)
    review = workshop.ledger.get_review(name)
    states = {state.name: state for state in workshop.ledger.run_steps(review.run)}
    evidence = workshop.artifacts.read(review.evidence)
    value = workshop.codec.decode(evidence, workshop.artifacts)
    shown = value.summary() if hasattr(value, "summary") else str(value)
    report = states.get("report")
    return {
        **asdict(review),
        "shown": shown,
        "report": None
        if report is None or report.digest is None
        else str(workshop.codec.decode(workshop.artifacts.read(report.digest), workshop.artifacts)),
    }


def decide(
    name: str, status: Literal["approved", "rejected"], *, by: str, note: str, home: Path | None
) -> Review:
    """Decide on a review, once; deciding the same again changes nothing."""
    workshop = workshop_of(home, by=by)
    review = workshop.ledger.get_review(name)
    return workshop.ledger.decide_review(review.id, status, workshop.actor, note)
