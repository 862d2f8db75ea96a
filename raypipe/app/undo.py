"""What came to a protected branch unseen is undone, by what lakeFS lets a branch pass its gate."""

from dataclasses import dataclass, field

from raypipe.app.assemble import Workshop
from raypipe.app.gate import Asked, State, refuse, state_at
from raypipe.app.publishing import begin_anew
from raypipe.app.verdicts import said_of, what_lets_in
from raypipe.engine.records import Json
from raypipe.errors import RaypipeError
from raypipe.store.lakefs_actions import FILE
from raypipe.store.rows import ProtectionRow
from raypipe.store.versions import Commit, VersionStore
from raypipe.values.uri import DatasetUri, parse_uri

FARTHEST = 20
"""Commits that are undone at most."""


@dataclass(frozen=True, kw_only=True)
class Undone:
    """What was found on a protected branch, and what became of it."""

    done: bool
    said: str
    told: Json = field(default_factory=dict)


def may_stay(protection: ProtectionRow, state: State) -> bool:
    """Say whether a branch may be so: its data was let in, and lakeFS asks for what comes next."""
    asks = not protection.action or state.action == protection.action
    return asks and what_lets_in(state.verdicts) is not None


def undo(
    workshop: Workshop, protection: ProtectionRow, versions: VersionStore, head: str
) -> Undone | None:
    """Bring a branch back to what was let in last, if it is not so; None: it is.

    Whoever calls holds the claim of its protection.

    What a merge brings in that lakeFS did not ask about, since the branch that it came from knows
    nothing of the gate, is found only afterwards. It stays where it came from, and in the log.
    """
    uri = parse_uri(protection.dataset)
    state = state_at(workshop, uri, versions, head)
    if may_stay(protection, state):
        return None
    first = versions.log(head)[0]
    asked = Asked(
        event="post-merge",
        repo=uri.repo,
        branch=uri.ref,
        source=first.message,
        source_commit=head,
        commit=head,
    )
    why = (
        f"what it was to be ({state.shards} shards) was {said_of(state.verdicts)}"
        if what_lets_in(state.verdicts) is None
        else f"{FILE}, which makes lakeFS ask, was changed"
    )
    told = {"dataset": protection.dataset, "commit": head, "message": first.message, "why": why}
    try:
        back = _bring_back(workshop, protection, uri, versions, head)
    except RaypipeError as error:
        said = f"{protection.dataset} holds what nobody let in ({head[:12]}), and stays so: {error}"
        refuse(workshop, asked, protection, f"{why}; it could not be undone: {error}")
        return Undone(done=False, said=said, told={**told, "error": str(error)})
    refuse(workshop, asked, protection, f"{why}; it was undone by {back[:12]}")
    said = (
        f"{protection.dataset} held what nobody let in ({head[:12]}: {why}); {back[:12]} undid it"
    )
    return Undone(done=True, said=said, told={**told, "undone_by": back})


def _bring_back(
    workshop: Workshop,
    protection: ProtectionRow,
    uri: DatasetUri,
    versions: VersionStore,
    head: str,
) -> str:
    wrong = _since_let_in(workshop, protection, uri, versions, head)
    branch = f"undo-{head[:12]}"
    begin_anew(versions, branch, head)
    try:
        for commit in wrong:
            versions.revert(branch, commit.id, workshop.actor)
        message = f"Undo what nobody let in ({head[:12]})"
        return versions.merge(branch, uri.ref, workshop.actor, message)
    finally:
        versions.delete_branch(branch)


def _since_let_in(
    workshop: Workshop,
    protection: ProtectionRow,
    uri: DatasetUri,
    versions: VersionStore,
    head: str,
) -> list[Commit]:
    """Return the commits of a branch after the last state that may stay, newest first."""
    known = {commit.id: commit for commit in versions.log(head)}
    wrong: list[Commit] = []
    at: str | None = head
    while at is not None and len(wrong) < FARTHEST:
        if may_stay(protection, state_at(workshop, uri, versions, at)):
            return wrong
        wrong.append(known[at])
        at = next(iter(known[at].parents), None)
    raise RaypipeError(
        f"none of the {len(wrong)} commits before it was let in",
        hint=f"look at it: raypipe data log {protection.dataset}; accept what is there, or undo it",
    )
