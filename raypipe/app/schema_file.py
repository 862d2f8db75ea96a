"""The schema as a file that a person reads and edits: where it lies, read and written."""

from pathlib import Path

from raypipe.app.assemble import Workshop
from raypipe.app.schema_object import object_path
from raypipe.config.cycle import CycleConfig
from raypipe.errors import StoreError, UsageError
from raypipe.stages.validation import schema_from_yaml, schema_to_yaml
from raypipe.store.content import add_file
from raypipe.store.faults import disk_faults
from raypipe.values.schema import Schema

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


def write_schema(schema: Schema, file: Path) -> None:
    """Write a schema where there is none; one that somebody wrote meanwhile stays."""
    with disk_faults(f"the schema {file} cannot be written"):
        file.parent.mkdir(parents=True, exist_ok=True)
        add_file(file, schema_to_yaml(schema).encode())


def schema_beside(
    workshop: Workshop, config: CycleConfig | None, file: Path | None
) -> dict[str, Path]:
    """Return the schema file by where it goes with the data that is held to it; none, if none."""
    if config is None or file is None:
        return {}
    schema_file = schema_path(config, file.absolute(), workshop)
    known = read_schema(schema_file) is not None
    return {object_path(config.name): schema_file} if known else {}
