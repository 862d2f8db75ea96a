"""What the ledger knows of reviews: who was asked what, and what was decided."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Literal

from raypipe.engine.records import Actor, Effect, Review
from raypipe.errors import UsageError
from raypipe.store import reviews, rows
from raypipe.store.ledger_outbox import EffectRecords
from raypipe.store.ledger_part import LAST, only, repeated
from raypipe.store.rows import dump


class ReviewRecords(EffectRecords):
    """A part of the ledger; what a review asks for is entered in the same act."""

    def find_review(self, project: str, pipeline: str, step: str, evidence: str) -> Review | None:
        """Return the review of a piece of evidence."""
        values = {"project": project, "pipeline": pipeline, "step": step, "evidence": evidence}
        row = self._db.one("find_review", **values)
        return None if row is None else rows.read_review(row)

    @repeated
    def open_review(
        self, review: Review, effects: Callable[[Review], Sequence[Effect]] = lambda review: ()
    ) -> Review:
        """Ask for a decision; one on the same evidence is returned, but if it was withdrawn.

        Open ones of the same step are withdrawn for it. An id that another review has is changed.
        `effects` says what one that opens asks for.
        """
        with self._db.writing("reviews"):
            found = reviews.find(self._db, review)
            if found is not None and found.status != "withdrawn":
                return found
            review = reviews.open_(self._db, review, self._now())
            self.ask_for(effects(review))
        return review

    def list_reviews(self, status: str | None = None) -> list[Review]:
        """Return reviews, newest first."""
        if status is None:
            found = self._db.all("list_reviews")
        else:
            found = self._db.all("list_reviews_of", status=status)
        return [rows.read_review(row) for row in found]

    def get_review(self, name: str) -> Review:
        """Return the review whose id is or starts so."""
        found = self._db.all("find_reviews", id=name, after=name + LAST) if name else []
        known = [review.id for review in self.list_reviews()] if not found else []
        return rows.read_review(only(found, "review", name, known, "raypipe review list"))

    @repeated
    def decide_review(
        self, name: str, status: Literal["approved", "rejected"], actor: Actor, note: str
    ) -> Review:
        """Decide on a review that is open; the same decision again changes nothing."""
        with self._db.writing("reviews"):
            before = self.get_review(name)
            decided = replace(before, status=status, actor=actor, note=note, decided=self._now())
            values = {"id": before.id, "status": status, "record": dump(asdict(decided))}
            if self._db.do("decide_review", **values):
                return decided
        if before.status != status:
            raise _decided(before)
        return before


def _decided(review: Review) -> UsageError:
    if review.status == "withdrawn":
        return _withdrawn(review)
    by = (review.actor.name or review.actor.user) if review.actor else "somebody"
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(review.decided))
    return UsageError(
        f"review {review.id} was {review.status} by {by} on {when}",
        hint="a decision stands; change the settings or the code, and run again for another",
    )


def _withdrawn(review: Review) -> UsageError:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(review.decided))
    return UsageError(
        f"review {review.id} was withdrawn on {when}: {review.note}",
        hint=f"`raypipe review show {review.newer}` shows the newer one"
        if review.newer
        else "run again: where its evidence comes again, it is asked for again",
    )
