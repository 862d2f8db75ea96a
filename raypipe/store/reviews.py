"""Reviews in the ledger: opened once for a piece of evidence, and decided or withdrawn once.

A withdrawn one is nobody's to decide, and needs nothing. The same evidence may ask for it again.
"""

from dataclasses import asdict, replace

from raypipe.engine.digest import digest_bytes
from raypipe.engine.records import Review, RunStatus
from raypipe.store import rows
from raypipe.store.database import Database

IN_TIME = "nobody decided it in time (store.keep.reviews)"


def find(database: Database, review: Review) -> Review | None:
    """Return the review of the same evidence, whatever became of it."""
    row = database.one(
        "find_review",
        project=review.project,
        pipeline=review.pipeline,
        step=review.step,
        evidence=review.evidence,
    )
    return None if row is None else rows.read_review(row)


def open_(database: Database, review: Review, now: float) -> Review:
    """Enter a review that is open, and withdraw those that it is newer than.

    A run with other parameters asks something else, so that its review stays. One of the same
    evidence that was withdrawn is opened again under its id. An id that another review has is
    changed.
    """
    before = find(database, review)
    if before is None:
        review = _with_free_id(database, review)
        _add(database, review)
    else:
        review = replace(review, id=before.id)
        _set(database, review, was=before.status)
    of = {"project": review.project, "pipeline": review.pipeline, "step": review.step}
    for row in database.all("open_reviews_of", **of):
        other = rows.read_review(row)
        if other.id != review.id and _parameters(database, other) == _parameters(database, review):
            why = f"newer evidence opened review {review.id}"
            withdraw(database, other.id, why, now, newer=review.id)
    return review


def withdraw(
    database: Database, name: str, why: str, now: float, *, newer: str | None = None
) -> None:
    """Record that nobody is asked any more; nothing where the review is not open by now."""
    row = database.one("review", id=name)
    if row is None or (review := rows.read_review(row)).status != "open":
        return
    gone = replace(review, status="withdrawn", note=why, decided=now, newer=newer)
    _set(database, gone, was="open")


def withdraw_abandoned(database: Database, now: float) -> None:
    """Withdraw the reviews of runs that were cancelled, and that no other run waits for."""
    for name, why in abandoned(database):
        withdraw(database, name, why, now)


def abandoned(database: Database) -> list[tuple[str, str]]:
    """Return open reviews whose run was cancelled, each with why it is asked no more.

    Not those that another run waits for, or may come to: one of the pipeline that is under way.
    """
    found = []
    for row in database.all("list_reviews_of", status="open"):
        review = rows.read_review(row)
        run = database.one("standing", id=review.run)
        of = {"project": review.project, "pipeline": review.pipeline}
        what = {"step": review.step, "evidence": review.evidence}
        if run is None or run["status"] != RunStatus.CANCELLED:
            continue
        if database.one("who_waits", **of, **what) is None:
            found.append((review.id, f"run {review.run} was cancelled"))
    return found


def told_of_no_more(database: Database) -> list[str]:
    """Return the withdrawn reviews that no run tells of any more."""
    gone = {}
    for row in database.all("list_reviews_of", status="withdrawn"):
        review = rows.read_review(row)
        if database.one("standing", id=review.run) is None:
            gone[review.id] = (review.step, review.evidence)
    if not gone:
        return []
    keys = sorted({evidence for _, evidence in gone.values()})
    told = {(row["name"], row["key"]) for row in database.all("steps_with_keys", keys=keys)}
    return [name for name, of in gone.items() if of not in told]


def _parameters(database: Database, review: Review) -> object:
    """Return what the run of a script was given that asks; None for a cycle, or if not known."""
    row = database.one("run", id=review.run)
    run = None if row is None else rows.read_run(row)
    if run is None or run.settings is not None or run.parameters is None:
        return None
    return run.parameters.get("parameters")


def _with_free_id(database: Database, review: Review) -> Review:
    of = (review.project, review.pipeline, review.step, review.evidence)
    while database.one("review", id=review.id) is not None:
        again = digest_bytes(" ".join((review.id, *of)).encode())
        review = replace(review, id=again[: len(review.id)])
    return review


def _add(database: Database, review: Review) -> None:
    database.do(
        "add_review",
        id=review.id,
        project=review.project,
        pipeline=review.pipeline,
        step=review.step,
        evidence=review.evidence,
        status=review.status,
        created=review.created,
        record=rows.dump(asdict(review)),
    )


def _set(database: Database, review: Review, was: str) -> None:
    database.do(
        "set_review",
        id=review.id,
        was=was,
        status=review.status,
        created=review.created,
        record=rows.dump(asdict(review)),
    )
