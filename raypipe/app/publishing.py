"""What comes to a protected branch through raypipe: exactly what was validated, or nothing."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from raypipe.app.assemble import Workshop
from raypipe.app.gate import Asked, decide, refuse, state_at
from raypipe.app.imports import under_way
from raypipe.app.verdicts import (
    content_of,
    data_at,
    protections_of,
    verdicts_on,
    what_lets_in,
)
from raypipe.errors import StoreError, ValidationStopped
from raypipe.fault_points import fault_point
from raypipe.store.versions import VersionStore
from raypipe.values.uri import DatasetUri, parse_uri

TRIES = 5
"""How often what comes in is brought up to date with a branch that moves meanwhile."""
RUN, DATA, EVIDENCE = "raypipe.run", "raypipe.data", "raypipe.evidence"
"""What a commit says: the run that wrote it or let it in, and digests of the data and of what was
found in it.
"""


def is_protected(workshop: Workshop, uri: DatasetUri) -> bool:
    """Say whether only validated data comes to a reference's branch."""
    return bool(protections_of(workshop, uri))


def publish(
    workshop: Workshop,
    uri: DatasetUri,
    branch: str,
    versions: VersionStore,
    message: str,
    validate: Callable[[str], object] | None,
) -> str:
    """Bring a branch to a protected one; return its new head.

    What was validated is the branch alone. Where the other moved meanwhile, its changes are brought
    to the branch first, and `validate` looks at both together. ValidationStopped says what is
    missing; the branch stays, and the protected one never saw it.
    """
    for _ in range(TRIES):
        head = versions.branches()[uri.ref]
        alone = versions.branches()[branch]
        both = versions.merge(head, branch, workshop.actor, f"Bring {uri.ref} to {branch}")
        if both != alone and validate is not None:
            validate(branch)
        with _still(workshop, uri):
            if versions.branches()[uri.ref] != head:
                continue
            require_let_in(workshop, uri, branch, versions)
            try:
                said = _let_in_by(workshop, uri, branch, versions)
                return versions.merge(branch, uri.ref, workshop.actor, message, said)
            except ValidationStopped as stopped:
                if versions.branches()[uri.ref] == head:
                    raise _as_recorded(workshop, uri, stopped) from None
    raise StoreError(
        f"{uri} moved {TRIES} times while {branch} was brought to it", hint="Try again."
    )


@contextmanager
def on_branch_of(
    workshop: Workshop, uri: DatasetUri, versions: VersionStore, kind: str, *, keep: bool = False
) -> Iterator[str]:
    """Give a branch from the reference's, which goes again; `keep`: unless it is not let in.

    That of a process that is killed goes as an import's does.
    """
    name = f"{kind}-{os.urandom(4).hex()}"
    with under_way(workshop, uri) as begin:
        begin(name)
        versions.create_branch(name, uri.ref)
        fault_point("import.branched")
        stays = False
        try:
            yield name
            fault_point("import.merged")
        except ValidationStopped:
            stays = keep
            raise
        finally:
            if not stays:
                versions.delete_branch(name)


def begin_anew(versions: VersionStore, branch: str, source: str) -> str:
    """Make a branch, in the place of one that a process left that was killed."""
    if branch in versions.branches():
        versions.delete_branch(branch)
    return versions.create_branch(branch, source)


@contextmanager
def _still(workshop: Workshop, uri: DatasetUri) -> Iterator[None]:
    """Let no other of this home move a local branch in the body; lakeFS asks when it moves one."""
    if uri.scheme != "local":
        yield
        return
    ports, key = workshop.ports(), f"publish-{uri.repo}-{uri.ref}"
    while (claim := workshop.claims.claim(key, firm=True)) is None:
        ports.pause(0.05)
    try:
        yield
    finally:
        claim.release()


def require_let_in(
    workshop: Workshop, uri: DatasetUri, branch: str, versions: VersionStore, called: str = ""
) -> None:
    """Refuse here what a gate would: it is told better, and a local branch has no other gate.

    ValidationStopped names the branch as it is `called` by who asked.
    """
    commit = versions.resolve(branch)
    for row in protections_of(workshop, uri):
        of = parse_uri(row.dataset)
        asked = Asked(
            event="pre-merge",
            repo=of.repo,
            branch=of.ref,
            source=called or branch,
            source_commit=commit,
            commit=commit,
        )
        answer = decide(asked, row, state_at(workshop, of, versions, commit))
        if not answer.allowed:
            refuse(workshop, asked, row, answer.reason)
            raise _not_let_in(of, called or branch, answer.reason)


def _let_in_by(
    workshop: Workshop, uri: DatasetUri, branch: str, versions: VersionStore
) -> dict[str, str]:
    """Return what the commit says of its data: its digest, and which run or person let it in."""
    dataset = data_at(replace(uri, ref=branch), versions)
    said = {DATA: content_of(workshop, dataset)}
    if (found := what_lets_in(verdicts_on(workshop, dataset))) is not None:
        named = {RUN: found.run, EVIDENCE: found.evidence, "raypipe.note": found.note}
        said |= {name: text for name, text in named.items() if text}
    return said


def _not_let_in(uri: DatasetUri, branch: str, reason: str) -> ValidationStopped:
    there = replace(uri, ref=branch)
    return ValidationStopped(
        f"{uri} is protected, and does not let {branch} in: {reason}",
        hint=f"Validate it, raypipe data merge {uri} {branch} --config FILE, or let it in as it "
        f"is: raypipe data accept {there} --reason TEXT. The branch {branch} stays.",
    )


def _as_recorded(
    workshop: Workshop, uri: DatasetUri, stopped: ValidationStopped
) -> ValidationStopped:
    """Return a gate's refusal with its reason, which lakeFS does not hand on."""
    for row in protections_of(workshop, uri):
        for refusal in workshop.ledger.gate.refusals(row.dataset, 1):
            return ValidationStopped(
                f"{stopped}: {refusal.reason}", hint=f"raypipe data show {row.dataset} lists them."
            )
    return stopped
