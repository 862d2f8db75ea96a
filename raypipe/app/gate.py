"""Whether something may come to a protected branch: what lakeFS asks, and the answer with why."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from raypipe.app.assemble import Workshop
from raypipe.app.gate_pick import ORIGIN, picked
from raypipe.app.verdicts import data_at, protections_of, said_of, verdicts_on, what_lets_in
from raypipe.errors import RaypipeError, UsageError
from raypipe.store.lakefs_actions import AFTER, FILE
from raypipe.store.rows import ProtectionRow, RefusalRow, VerdictRow
from raypipe.store.versions import StoredObject, VersionStore
from raypipe.values.dataset import Dataset
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
    origin: str = ""
    """What is picked, where lakeFS says so."""

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
    "pre-commit": "lakeFS does not say what a commit or an import to the branch would make of it",
    "pre-revert": "lakeFS does not say what a revert would make of the branch",
    "pre-cherry-pick": "lakeFS does not say what the picking of a merge, or of a commit that has "
    "metadata, would make of the branch",
}
INSTEAD = {
    "pre-commit": "do it on another branch, then: raypipe data merge {} BRANCH --config FILE",
    "pre-revert": "raypipe data revert {} COMMIT",
    "pre-cherry-pick": "do it on another branch, then: raypipe data merge {} BRANCH --config FILE",
}
"""The command to type, of a protected dataset."""


def decide(asked: Asked, protection: ProtectionRow, state: State | None) -> Answer:
    """Let in what was validated, or accepted by a person, exactly as it would be; nothing else."""
    if state is None:
        why = UNKNOWN.get(asked.event, f"{asked.event!r} is nothing that it knows")
        instead = INSTEAD.get(asked.event, "raypipe data protect {}, with the raypipe of now")
        return Answer(allowed=False, reason=f"{why}: {instead.format(protection.dataset)}")
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
        origin=_origin(body.get("commit_metadata")),
    )


def _origin(metadata: Any) -> str:
    said = metadata.get(ORIGIN, "") if isinstance(metadata, Mapping) else ""
    return said if isinstance(said, str) and len(said) <= LONGEST else ""


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
    given = decide(asked, protection, _state(workshop, asked, parse_uri(protection.dataset)))
    if not given.allowed:
        refuse(workshop, asked, protection, given.reason)
    return given


def _state(workshop: Workshop, asked: Asked, uri: DatasetUri) -> State | None:
    """Return what a protected dataset would be; None where what lakeFS says does not tell."""
    if asked.event == "pre-merge" and asked.commit:
        return state_at(workshop, uri, workshop.versions(uri), asked.commit)
    if asked.event == "pre-cherry-pick" and asked.origin:
        found = picked(uri, workshop.versions(uri), asked.origin)
        return found and _state_of(workshop, *found)
    return None


def state_at(workshop: Workshop, uri: DatasetUri, versions: VersionStore, ref: str) -> State:
    """Return what a protected dataset is at a commit."""
    dataset = data_at(replace(uri, ref=ref), versions)
    return _state_of(workshop, dataset, versions.list(ref, FILE))


def _state_of(workshop: Workshop, dataset: Dataset, files: Sequence[StoredObject]) -> State:
    action = next((one.object_id for one in files if one.path == FILE), None)
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
