"""Whether something may come to a protected branch: what lakeFS asks, and the answer with why."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from raypipe.app.assemble import Workshop
from raypipe.app.verdicts import data_at, protections_of, said_of, verdicts_on, what_lets_in
from raypipe.errors import RaypipeError, UsageError
from raypipe.store.lakefs_actions import AFTER, FILE
from raypipe.store.rows import ProtectionRow, RefusalRow, VerdictRow
from raypipe.store.versions import VersionStore
from raypipe.values.uri import DatasetUri, parse_uri

LONGEST = 1000
"""Letters of a name that is taken from a request."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What lakeFS says of a change before it happens, or after."""

    event: str
    """`pre-merge`, `pre-commit`, …"""
    repo: str
    branch: str
    """That it comes to."""
    source: str = ""
    """What is merged, as it was asked for."""
    source_commit: str = ""
    """What that is."""
    commit: str = ""
    """What the branch would be, where lakeFS says so."""

    @property
    def is_news(self) -> bool:
        """Whether it has happened, so that nothing is to be decided."""
        return self.event in AFTER


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Whether it may happen, and why."""

    allowed: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class State:
    """What a branch would be, as far as one protection is concerned."""

    verdicts: Sequence[VerdictRow]
    """What was said of its data, newest first."""
    shards: int
    action: str | None
    """Object id of the file that makes lakeFS ask; None: it would be gone."""


# --- the decision (pure) ------------------------------------------------------------------------

UNKNOWN = {
    "pre-commit": "lakeFS does not say what a commit to the branch would make of it",
    "pre-revert": "lakeFS does not say what a revert would make of the branch",
    "pre-cherry-pick": "lakeFS does not say what a cherry-pick would make of the branch",
}
INSTEAD = {
    "pre-commit": "commit to another branch, and merge that: raypipe data merge",
    "pre-revert": "raypipe data revert does it on another branch, and merges that",
    "pre-cherry-pick": "pick it to another branch, and merge that: raypipe data merge",
}


def decide(asked: Asked, protection: ProtectionRow, state: State | None) -> Answer:
    """Let in what was validated, or accepted by a person, exactly as it would be; nothing else."""
    if state is None:
        why = UNKNOWN.get(asked.event, f"{asked.event!r} is nothing that it knows")
        instead = INSTEAD.get(asked.event, "protect the branch again, with this raypipe")
        return Answer(allowed=False, reason=f"{why}: {instead}")
    if protection.action and state.action != protection.action:
        changed = "would be gone" if state.action is None else "would be another"
        return Answer(
            allowed=False,
            reason=f"{FILE}, which makes lakeFS ask, {changed}: raypipe data unprotect, or protect",
        )
    if what_lets_in(state.verdicts) is None:
        would_be = f"what {protection.dataset} would be ({state.shards} shards)"
        return Answer(allowed=False, reason=f"{would_be} was {said_of(state.verdicts)}")
    return Answer(allowed=True, reason=said_of(state.verdicts))


def read_asked(body: Any) -> Asked:
    """Read what lakeFS says; UsageError where it is nothing of lakeFS's."""
    if not isinstance(body, Mapping):
        raise UsageError("the request is no JSON object")

    def text(name: str, *, must: bool = False) -> str:
        value = body.get(name, "")
        if not isinstance(value, str) or len(value) > LONGEST or (must and not value):
            raise UsageError(f"the request has no {name} that can be read")
        return value

    return Asked(
        event=text("event_type", must=True),
        repo=text("repository_id", must=True),
        branch=text("branch_id", must=True),
        source=text("merge_source"),
        source_commit=text("source_ref"),
        commit=text("commit_id"),
    )


# --- asking the world ---------------------------------------------------------------------------


def answer(workshop: Workshop, asked: Asked) -> Answer:
    """Decide for each protection of a branch; a refusal is recorded.

    RaypipeError where store or ledger cannot be asked: whoever calls lets nothing in then.
    """
    try:
        at = parse_uri(f"lakefs://{asked.repo}/{asked.branch}")
    except UsageError:
        return Answer(allowed=False, reason="no branch of that name is protected from this home")
    protections = protections_of(workshop, at)
    if not protections:
        why = f"{at} is not protected from this home: protect it, or merge without {FILE}"
        return Answer(allowed=False, reason=why)
    given = [_answer(workshop, asked, protection) for protection in protections]
    return next((one for one in given if not one.allowed), given[0])


def _answer(workshop: Workshop, asked: Asked, protection: ProtectionRow) -> Answer:
    uri = parse_uri(protection.dataset)
    if asked.event == "pre-merge" and asked.commit:
        versions = workshop.versions(uri)
        given = decide(asked, protection, state_at(workshop, uri, versions, asked.commit))
    else:
        given = decide(asked, protection, None)
    if not given.allowed:
        refuse(workshop, asked, protection, given.reason)
    return given


def state_at(workshop: Workshop, uri: DatasetUri, versions: VersionStore, ref: str) -> State:
    """Return what a protected dataset is at a commit."""
    dataset = data_at(replace(uri, ref=ref), versions)
    action = next((one.object_id for one in versions.list(ref, FILE) if one.path == FILE), None)
    return State(verdicts=verdicts_on(workshop, dataset), shards=len(dataset.shards), action=action)


def refuse(workshop: Workshop, asked: Asked, protection: ProtectionRow, reason: str) -> None:
    """Record a refusal, if the ledger can be written: it is a no all the same."""
    with suppress(RaypipeError):
        workshop.ledger.gate.add_refusal(
            RefusalRow(
                dataset=protection.dataset,
                event=asked.event,
                source=asked.source,
                commit=asked.source_commit,
                reason=reason,
            )
        )
