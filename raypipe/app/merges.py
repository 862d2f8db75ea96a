"""Branches of data brought together, and commits undone, as a person asks for it."""

from contextlib import suppress
from pathlib import Path

from raypipe.app.assemble import Workshop
from raypipe.app.audit import validate_branch, validating
from raypipe.app.imports import remove_left
from raypipe.app.publishing import is_protected, on_branch_of, publish, require_let_in
from raypipe.app.with_settings import open_data, settings_in, workshop_with
from raypipe.config.cycle import CycleConfig
from raypipe.engine.drive import Listener
from raypipe.engine.records import Json
from raypipe.errors import ValidationStopped
from raypipe.store.versions import VersionStore
from raypipe.values.uri import DatasetUri


def merge(
    dataset: str,
    source: str,
    *,
    config: Path | None = None,
    home: Path | None = None,
    by: str | None = None,
    listen: Listener = lambda event: None,
) -> Json:
    """Bring another branch's changes into the reference's branch.

    With `config` what the branch would be is validated first; a protected one takes nothing else.
    """
    cycle = settings_in(config)
    uri, versions = open_data(dataset, home, config, cycle)
    workshop = workshop_with(config, cycle, home, by=by)
    before = versions.branches().get(uri.ref)
    message = f"Merge {source} into {uri.ref}"
    said: dict[str, Json] = {"branch": uri.ref}
    if config is None and not is_protected(workshop, uri):
        commit = versions.merge(source, uri.ref, workshop.actor)
        undo = f"raypipe data revert {dataset} {commit[:12]}"
        said |= {"commit": commit, "note": f"merged without validation; `{undo}` undoes it"}
    else:
        said |= _merge_validated(workshop, cycle, config, uri, versions, source, message, listen)
    if said["commit"] == before:
        said["note"] = f"{uri.ref} holds all of {source} already"
    return said


def _merge_validated(
    workshop: Workshop,
    cycle: CycleConfig | None,
    config: Path | None,
    uri: DatasetUri,
    versions: VersionStore,
    source: str,
    message: str,
    listen: Listener,
) -> dict[str, Json]:
    """Merge on a branch of its own, look at that, and bring it in when it is let in."""
    said: dict[str, Json] = {}
    remove_left(workshop, uri, versions)
    with on_branch_of(workshop, uri, versions, "merge", keep=cycle is not None) as branch:
        head = versions.resolve(branch)
        if versions.merge(source, branch, workshop.actor, message) == head:
            return {"commit": head}
        if cycle is not None and config is not None:
            said["validation"] = validate_branch(
                workshop, cycle, config, uri, branch, versions, listen
            )
        require_let_in(workshop, uri, branch, versions, called=source)
        validate = validating(workshop, cycle, config, uri, versions, listen)
        said["commit"] = publish(workshop, uri, branch, versions, message, validate)
    return said


def revert(
    dataset: str,
    commit: str,
    *,
    config: Path | None = None,
    home: Path | None = None,
    by: str | None = None,
    listen: Listener = lambda event: None,
) -> Json:
    """Undo a commit by another one; on a protected branch by a merge, as lakeFS asks about it.

    With `config` what the branch would be is validated first. A branch that is not let in stays.
    """
    cycle = settings_in(config)
    uri, versions = open_data(dataset, home, config, cycle)
    workshop = workshop_with(config, cycle, home, by=by)
    if cycle is None and not is_protected(workshop, uri):
        with suppress(ValidationStopped):  # by a gate that another home has
            return {"branch": uri.ref, "commit": versions.revert(uri.ref, commit, workshop.actor)}
    said: dict[str, Json] = {"branch": uri.ref}
    message = f"Revert {versions.resolve(commit)[:12]}"
    remove_left(workshop, uri, versions)
    with on_branch_of(workshop, uri, versions, "revert", keep=True) as branch:
        versions.revert(branch, commit, workshop.actor)
        if cycle is not None and config is not None:
            said["validation"] = validate_branch(
                workshop, cycle, config, uri, branch, versions, listen
            )
        validate = validating(workshop, cycle, config, uri, versions, listen)
        said["commit"] = publish(workshop, uri, branch, versions, message, validate)
    return said
