"""The schema that goes with data, as a person asks for it: shown, compared, brought up to date."""

from collections.abc import Mapping
from pathlib import Path

from raypipe.app.assemble import Workshop
from raypipe.app.audit import validate_branch, validating
from raypipe.app.imports import remove_left
from raypipe.app.publishing import is_protected, on_branch_of, publish
from raypipe.app.schema_file import read_schema, schema_path
from raypipe.app.schema_object import read_text, schema_texts
from raypipe.app.verdicts import data_at, verdicts_on
from raypipe.app.with_settings import open_data, settings_in, workshop_with
from raypipe.config.load import load
from raypipe.engine.drive import Listener
from raypipe.engine.records import Json
from raypipe.errors import NotFound, StoreError, UsageError
from raypipe.stages.validation import schema_changes
from raypipe.values.dataset import Dataset
from raypipe.values.schema import Schema


def show_schema(dataset: str, *, config: Path | None = None, home: Path | None = None) -> Json:
    """Return the schemas of a commit as they were written, and by which it was accepted.

    With `config` that of its pipeline alone, and how the file that is used now differs.
    """
    cycle = settings_in(config)
    uri, versions = open_data(dataset, home, config, cycle)
    workshop = workshop_with(config, cycle, home, write=False)
    texts = schema_texts(versions, uri.ref)
    if cycle is not None:
        texts = {name: text for name, text in texts.items() if name == cycle.name}
    known = {name: read_text(text, name) for name, text in texts.items()}
    accepted = _accepted_by(workshop, data_at(uri, versions), known)
    if not texts and accepted is None:
        raise NotFound(
            f"no schema goes with {dataset}",
            hint="an import with --config lets it go with the data; by itself: "
            f"raypipe data schema {dataset} --config FILE --commit",
        )
    said: dict[str, Json] = {"commit": versions.resolve(uri.ref), "schemas": texts}
    if accepted is not None:
        run, used = accepted
        said["accepted"] = {"run": run, "schema": used.name, **_beside(known.get(used.name), used)}
    if cycle is not None and config is not None:
        file = schema_path(cycle, config.absolute(), workshop)
        now = read_schema(file)
        beside = {} if now is None else _beside(known.get(cycle.name), now)
        said["file"] = {"path": str(file), "exists": now is not None, **beside}
    return said


def _beside(then: Schema | None, now: Schema) -> dict[str, Json]:
    return {} if then is None else {"differs": list(schema_changes(then, now))}


def _accepted_by(
    workshop: Workshop, dataset: Dataset, known: Mapping[str, Schema]
) -> tuple[str, Schema] | None:
    """Return a run that let data in, and its schema: by that which goes with it, or the newest.

    The same data may have been let in by several. None where none did, or what it did is gone.
    """
    found = [
        (one.run, schema)
        for one in verdicts_on(workshop, dataset)
        if one.lets_in and (schema := _used_by(workshop, one.run)) is not None
    ]
    by_known = (one for one in found if known.get(one[1].name) == one[1])
    return next(by_known, found[0] if found else None)


def _used_by(workshop: Workshop, run: str) -> Schema | None:
    for state in workshop.ledger.run_steps(run) if run else ():
        if state.name == "admit" and state.digest is not None:
            try:
                manifest = workshop.artifacts.read(state.digest)
            except StoreError:
                return None
            schema: Schema = workshop.codec.decode(manifest, workshop.artifacts)
            return schema
    return None


def commit_schema(
    dataset: str,
    *,
    config: Path,
    home: Path | None = None,
    by: str | None = None,
    listen: Listener = lambda event: None,
) -> Json:
    """Hold a branch to the schema file as it is now; if it passes, the file goes with it."""
    cycle = load(config)
    uri, versions = open_data(dataset, home, config, cycle)
    workshop = workshop_with(config, cycle, home, by=by)
    file = schema_path(cycle, config.absolute(), workshop)
    if read_schema(file) is None:
        raise UsageError(
            f"there is no schema {str(file)!r} yet", hint="the first run writes it: raypipe run"
        )
    if uri.ref not in versions.branches():
        raise UsageError(f"{uri.ref!r} is no branch of {uri.repo}", hint="a commit never changes")
    before = versions.resolve(uri.ref)
    remove_left(workshop, uri, versions)
    with on_branch_of(workshop, uri, versions, "schema", keep=True) as branch:
        found = validate_branch(workshop, cycle, config, uri, branch, versions, listen)
        message = f"The schema of {cycle.name}"
        if is_protected(workshop, uri):
            validate = validating(workshop, cycle, config, uri, versions, listen)
            head = publish(workshop, uri, branch, versions, message, validate)
        else:
            head = versions.merge(branch, uri.ref, workshop.actor, message)
    said = {"branch": uri.ref, "commit": head, "validation": found}
    return said if head != before else {**said, "note": "it goes with the data already"}
