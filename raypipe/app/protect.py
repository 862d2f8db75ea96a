"""A branch that only validated data comes to, and the person who lets other data in."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from raypipe.app.assemble import Workshop
from raypipe.app.gate_place import gate_of, gate_token
from raypipe.app.protect_lakefs import bring_to_others, install, of_repository, withdraw
from raypipe.app.verdicts import (
    content_of,
    data_at,
    protections_of,
    record,
    said_of,
    verdicts_on,
    what_lets_in,
)
from raypipe.app.with_settings import settings_in, workshop_with
from raypipe.engine.records import Json
from raypipe.errors import NotFound, UsageError
from raypipe.store.lakefs_actions import FILE, action_text
from raypipe.store.rows import ProtectionRow
from raypipe.store.versions import VersionStore, did_you_mean
from raypipe.store.versions_lakefs import LakeFSVersions
from raypipe.values.dataset import Dataset
from raypipe.values.uri import DatasetUri, parse_uri

PATIENCE = 20.0
"""Seconds that another process's look at a protection is waited for."""


def protect(
    dataset: str,
    *,
    url: str | None = None,
    secret_in_repository: bool = False,
    config: Path | None = None,
    home: Path | None = None,
    by: str | None = None,
) -> Json:
    """Let only validated data come to a dataset's branch from now on.

    What is there counts as accepted by who protects it. In lakeFS, an action makes every client's
    merge ask the gate at `url`, that of the watch that is up if none is given.
    """
    uri = parse_uri(dataset)
    workshop = _workshop(home, config, by)
    versions = workshop.versions(uri)
    _require_branch(uri, versions)
    with _alone(workshop, uri):
        there = data_at(uri, versions)
        if what_lets_in(verdicts_on(workshop, there)) is None:
            record(workshop, there, "accepted", note="was there when it was protected")
        said = {
            "protected": str(uri),
            "commit": there.commit,
            "there": said_of(verdicts_on(workshop, there)),
        }
        row = ProtectionRow(dataset=str(uri), actor=workshop.actor)
        if not isinstance(versions, LakeFSVersions):
            workshop.ledger.gate.protect(row)
            return said
        gate = url or gate_of(workshop.paths)
        if gate is None:
            raise UsageError(
                "no watch of this home is up, and lakeFS is to ask its gate",
                hint="start `raypipe watch` first, or say with --url where lakeFS reaches one",
            )
        token = gate_token(workshop.paths)
        text = action_text(gate, _branches(workshop, uri), token if secret_in_repository else None)
        row = replace(row, gate=gate, server=versions.endpoint)
        return {**said, **install(workshop, row, uri, versions, text)}


def _workshop(home: Path | None, config: Path | None, by: str | None) -> Workshop:
    """Open the home, with the lakeFS that settings name, if any are given."""
    return workshop_with(config, settings_in(config), home, by=by)


def require_its_server(row: ProtectionRow, versions: VersionStore) -> None:
    """Raise UsageError where a store is of another lakeFS than the branch that was protected.

    A branch of that name there is not ours to judge.
    """
    if isinstance(versions, LakeFSVersions) and row.server not in ("", versions.endpoint):
        raise UsageError(
            f"{row.dataset} is protected in the lakeFS at {row.server}, and this home was told "
            f"last of the one at {versions.endpoint}",
            hint="say with --config which settings name the first; or, if it is there now, "
            f"raypipe data protect {row.dataset}",
        )


def claim_of(dataset: str) -> str:
    """Return the name of the claim that is held while a branch is being protected."""
    return "protect-" + dataset.replace("://", "-").replace("/", "-")


@contextmanager
def _alone(workshop: Workshop, uri: DatasetUri) -> Iterator[None]:
    until = time.monotonic() + PATIENCE
    while (claim := workshop.claims.claim(claim_of(str(uri)), firm=True)) is None:
        if time.monotonic() > until:
            raise UsageError(f"another process protects {uri} just now", hint="wait for it")
        time.sleep(0.1)  # a watch that looks at it is soon done
    try:
        yield
    finally:
        claim.release()


def _require_branch(uri: DatasetUri, versions: VersionStore) -> None:
    branches = versions.branches()
    if uri.ref not in branches:
        raise NotFound(
            f"{uri.repo} has no branch {uri.ref!r}" + did_you_mean(uri.ref, branches),
            hint="A branch is protected; tags and commits never move.",
        )


def _branches(workshop: Workshop, uri: DatasetUri) -> set[str]:
    """Return the protected branches of a repository, this one among them."""
    every = (parse_uri(row.dataset) for row in workshop.ledger.gate.protections())
    return {uri.ref} | {one.ref for one in every if one.repository_name == uri.repository_name}


# --- the way back -------------------------------------------------------------------------------


def unprotect(
    dataset: str, *, config: Path | None = None, home: Path | None = None, by: str | None = None
) -> Json:
    """Let whatever data come to a dataset's branch again."""
    uri = parse_uri(dataset)
    workshop = _workshop(home, config, by)
    versions = workshop.versions(uri)
    _require_branch(uri, versions)
    known = [row for row in workshop.ledger.gate.protections() if row.dataset == str(uri)]
    if not isinstance(versions, LakeFSVersions):
        if not known:
            raise _not_protected(workshop, uri)
        workshop.ledger.gate.unprotect(str(uri))
        return {"unprotected": str(uri)}
    asks = any(one.path == FILE for one in versions.list(uri.ref, FILE))
    if not known and not asks:
        raise _not_protected(workshop, uri)
    with _alone(workshop, uri):
        workshop.ledger.gate.unprotect(str(uri))
        said: dict[str, Json] = {"unprotected": str(uri)}
        others = of_repository(workshop, uri)
        if any(parse_uri(one.dataset).ref == uri.ref for one in others):
            return {**said, "note": f"{others[0].dataset} is protected still"}
        versions.guarded().unprotect(uri.ref)
        removed = withdraw(workshop, versions, uri)
        if others:
            again = " and ".join(one.dataset for one in others)
            said["note"] = f"lakeFS asks about it until you protect {again} again"
        elif removed is not None:
            left = bring_to_others(versions, removed, [str(uri)])
            said |= {"asked about still": left} if left else {}
    return said


def _not_protected(workshop: Workshop, uri: DatasetUri) -> NotFound:
    known = [row.dataset for row in workshop.ledger.gate.protections()]
    return NotFound(f"{uri} is not protected" + did_you_mean(str(uri), known))


# --- people -------------------------------------------------------------------------------------


def accept(
    dataset: str,
    reason: str,
    *,
    config: Path | None = None,
    home: Path | None = None,
    by: str | None = None,
) -> Json:
    """Let data in that validation stopped, or never saw: a person's word, recorded with why."""
    if not reason.strip():
        raise UsageError("the reason is empty", hint="say why: --reason 'the sensor was replaced'")
    uri = parse_uri(dataset)
    workshop = _workshop(home, config, by)
    versions = workshop.versions(uri)
    there = data_at(uri, versions)
    if not there.shards:
        raise NotFound(f"{uri} holds no data to accept", hint="name its branch, and its path")
    before = verdicts_on(workshop, there)
    found = next((one for one in before if one.evidence), None)
    evidence = "" if found is None else found.evidence
    record(workshop, there, "accepted", evidence=evidence, note=reason)
    return {
        "accepted": str(uri),
        "commit": there.commit,
        "content": content_of(workshop, there),
        "evidence": evidence or "nothing was looked at",
        "before": said_of(before),
        "by": workshop.actor.name or workshop.actor.user,
        "reason": reason,
    }


def standing(workshop: Workshop, uri: DatasetUri, dataset: Dataset) -> Json:
    """Return how a dataset stands: what was said of it, and what its branch does not let in."""
    said: dict[str, Json] = {"validation": said_of(verdicts_on(workshop, dataset))}
    for row in protections_of(workshop, uri):
        refused = workshop.ledger.gate.refusals(row.dataset, 5)
        said["protected"] = {
            "dataset": row.dataset,
            "since": row.time,
            "by": row.actor.name or row.actor.user,
            **({"gate": row.gate} if row.gate else {}),
        }
        said["refused"] = [
            {
                "time": one.time,
                "what": one.source or one.event,
                "commit": one.commit,
                "why": one.reason,
            }
            for one in refused
        ]
    return said
