"""The schema as a file that a person reads and edits: where it lies, read and written."""

from pathlib import Path

from raypipe.app.assemble import Workshop
from raypipe.app.schema_object import object_path, read_text, schema_texts
from raypipe.config.cycle import CycleConfig
from raypipe.errors import StoreError, UsageError
from raypipe.stages.validation import schema_from_yaml, schema_to_yaml
from raypipe.store.content import add_file
from raypipe.store.faults import disk_faults
from raypipe.values.schema import Schema
from raypipe.values.uri import DatasetUri

MEND = "mend it, or delete it: the next run infers it again"


def schema_path(config: CycleConfig, settings: Path, workshop: Workshop) -> Path:
    """Return where the schema lies, relative to the settings file if the settings name it."""
    named = config.validation.schema_file
    if named is not None:
        return settings.parent / named
    return workshop.paths.schemas / f"{config.name}.yaml"


def read_schema(file: Path) -> Schema | None:
    """Return the schema that a person keeps; None until the first run has written it."""
    if not file.exists():
        return None
    try:
        return schema_from_yaml(file.read_text(encoding="utf-8"))
    except UsageError as error:
        raise type(error)(f"{file}: {error}", hint=error.hint) from error
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"the schema {file} cannot be read: {error}", hint=MEND) from error


def known_schema(
    workshop: Workshop, config: CycleConfig, file: Path, at: DatasetUri, *, write: bool
) -> Schema | None:
    """Return the schema of the file, or on a home that is new to the pipeline that of the data.

    The latter is written as the file, if `write`, for a person to edit. None: it is to be inferred,
    which is so too where there were runs: then a person deleted the file.
    """
    if (schema := read_schema(file)) is not None or _has_runs(workshop, config.name):
        return schema
    text = schema_texts(workshop.versions(at), at.ref).get(config.name)
    if text is None:
        return None
    try:
        schema = read_text(text, config.name)
    except StoreError as error:
        error.hint = f"write {file} by hand: it comes before what goes with the data"
        raise
    if write:
        _add(text, file)
        return read_schema(file)
    return schema


def _has_runs(workshop: Workshop, pipeline: str) -> bool:
    ledger, project = workshop.ledger, workshop.project
    if ledger.list_runs(project, limit=1, pipeline=pipeline):
        return True  # conversions may be called NAME.import too, and know no schema
    return bool(ledger.used_results(project, f"{pipeline}.import", "validate", limit=1))


def write_schema(schema: Schema, file: Path) -> None:
    """Write a schema where there is none; one that somebody wrote meanwhile stays."""
    _add(schema_to_yaml(schema), file)


def _add(text: str, file: Path) -> None:
    with disk_faults(f"the schema {file} cannot be written"):
        file.parent.mkdir(parents=True, exist_ok=True)
        add_file(file, text.encode())


def schema_beside(
    workshop: Workshop, config: CycleConfig | None, file: Path | None, at: DatasetUri
) -> dict[str, Path]:
    """Return the schema file by where it goes with the data that is held to it; none, if none."""
    if config is None or file is None:
        return {}
    schema_file = schema_path(config, file.absolute(), workshop)
    known = known_schema(workshop, config, schema_file, at, write=True) is not None
    return {object_path(config.name): schema_file} if known else {}
