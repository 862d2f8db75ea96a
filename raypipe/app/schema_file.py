"""The schema as a file that a person reads and edits: where it lies, read and written."""

from pathlib import Path

from raypipe.app.assemble import Workshop
from raypipe.config.cycle import CycleConfig
from raypipe.stages.validation import schema_from_yaml, schema_to_yaml
from raypipe.values.schema import Schema


def schema_path(config: CycleConfig, settings: Path, workshop: Workshop) -> Path:
    """Return where the schema lies, relative to the settings file if the settings name it."""
    named = config.validation.schema_file
    if named is not None:
        return settings.parent / named
    return workshop.paths.schemas / f"{config.name}.yaml"


def read_schema(file: Path) -> Schema | None:
    """Return the schema that a person keeps; None until the first run has written it."""
    return schema_from_yaml(file.read_text()) if file.exists() else None


def write_schema(schema: Schema, file: Path) -> None:
    """Write a schema where there is none; whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_suffix(".tmp")
    aside.write_text(schema_to_yaml(schema))
    aside.rename(file)
