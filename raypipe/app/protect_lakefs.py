"""lakeFS's part in protecting a branch: an action by which every client's merge asks the gate."""

import time
from collections.abc import Iterable
from dataclasses import replace

from raypipe.app.assemble import Workshop
from raypipe.app.publishing import begin_anew
from raypipe.engine.records import Json
from raypipe.errors import StoreError, UsageError
from raypipe.store.lakefs_actions import FILE, VARIABLE
from raypipe.store.rows import ProtectionRow
from raypipe.store.temporary import temporary_folder
from raypipe.store.versions_lakefs import LakeFSVersions
from raypipe.values.uri import DatasetUri, parse_uri

ASKED, NO_MORE = "Let lakeFS ask raypipe's gate", "Let lakeFS ask raypipe's gate no more"
"""Messages of commits."""
IN_FORCE = 20.0
"""Seconds that lakeFS is given to hold to a rule: it looks at its rules every few of them."""


def install(
    workshop: Workshop, row: ProtectionRow, uri: DatasetUri, versions: LakeFSVersions, text: str
) -> Json:
    """Bring the action to protected branches by merges, which lakeFS asks the gate about already.

    One file tells of all of a repository, so that those which were protected before have it anew.
    """
    gate = workshop.ledger.gate
    before = of_repository(workshop, uri)
    if not before and any(one.path == FILE for one in versions.list(uri.ref, FILE)):
        raise UsageError(
            f"{uri.repo} is protected from another home already: {FILE} is there",
            hint="unprotect it there, or here: raypipe data unprotect; then protect it again",
        )
    rows = {one.dataset: replace(one, gate=row.gate) for one in before} | {row.dataset: row}
    commit = None
    try:
        for branch in sorted({parse_uri(name).ref for name in rows}):
            commit = _bring(workshop, versions, branch, text, rows.values()) or commit
    except BaseException:
        gate.unprotect(row.dataset)
        for one in before:
            gate.protect(one)
        raise
    versions.guarded().protect(uri.ref)
    left = [] if commit is None else bring_to_others(versions, commit, rows)
    _wait_until_in_force(versions, uri)
    said: dict[str, Json] = {"gate": row.gate}
    if VARIABLE in text:
        said["token"] = f"lakeFS has it as {VARIABLE}"
    else:
        said["token"] = f"stands in {FILE}, for all who may read the repository"
    if left:
        said["not asked about"] = left
    return said


def _bring(
    workshop: Workshop,
    versions: LakeFSVersions,
    into: str,
    text: str,
    rows: Iterable[ProtectionRow],
) -> str | None:
    """Merge a branch with the action into one; return its commit unless it was there already.

    The gate is told what the file is to be before it is asked.
    """
    name = f"protect-{into}"
    head = begin_anew(versions, name, into)
    try:
        with temporary_folder("raypipe-action-") as folder:
            file = folder / "raypipe.yaml"
            file.write_text(text)
            stored = versions.put(name, FILE, file)
        commit = versions.commit(name, ASKED, workshop.actor)
        for row in rows:
            workshop.ledger.gate.protect(replace(row, action=stored.object_id))
        versions.merge(name, into, workshop.actor, ASKED)
    finally:
        versions.delete_branch(name)
    return None if commit == head else commit


def of_repository(workshop: Workshop, uri: DatasetUri) -> list[ProtectionRow]:
    """Return the protections of the branches of a repository."""
    return [
        row
        for row in workshop.ledger.gate.protections()
        if parse_uri(row.dataset).repository_name == uri.repository_name
    ]


def bring_to_others(versions: LakeFSVersions, commit: str, protected: Iterable[str]) -> list[str]:
    """Bring the action to the branches that there are; return those that it cannot be brought to.

    lakeFS reads it from what is merged, not from what that comes to.
    """
    guard, done = versions.guarded(), {parse_uri(name).ref for name in protected}
    others = [one for one in versions.branches() if one not in done]
    return [one for one in others if not guard.bring(commit, one)]


def _wait_until_in_force(versions: LakeFSVersions, uri: DatasetUri) -> None:
    guard, until = versions.guarded(), time.monotonic() + IN_FORCE
    while not guard.is_protected(uri.ref):
        if time.monotonic() > until:
            raise StoreError(
                f"lakeFS does not hold to the protection rule of {uri.ref}",
                hint=f"look at the rules of {uri.repo} there, and protect it again",
            )
        time.sleep(0.3)


def withdraw(workshop: Workshop, versions: LakeFSVersions, uri: DatasetUri) -> str | None:
    """Take the action from a branch; return the commit without it, None if it was not there.

    lakeFS asks nobody about what comes without it.
    """
    if not any(one.path == FILE for one in versions.list(uri.ref, FILE)):
        return None
    branch = f"unprotect-{uri.ref}"
    begin_anew(versions, branch, uri.ref)
    try:
        versions.remove(branch, FILE)
        commit = versions.commit(branch, NO_MORE, workshop.actor)
        versions.merge(branch, uri.ref, workshop.actor, NO_MORE)
    finally:
        versions.delete_branch(branch)
    return commit
