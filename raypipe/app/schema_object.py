"""The schema as an object of a commit: what it is called there, written and read."""

from raypipe.engine.records import Actor, Json
from raypipe.errors import RaypipeError, StoreError
from raypipe.stages.validation import schema_changes, schema_from_yaml, schema_to_yaml
from raypipe.store.locations import open_location
from raypipe.store.temporary import temporary_folder
from raypipe.store.versions import VersionStore
from raypipe.values.schema import Schema
from raypipe.values.words import amount

FOLDER = "_raypipe/schemas/"
"""Of a repository: one file for each pipeline that holds its data to a schema."""


def object_path(pipeline: str) -> str:
    """Return where a pipeline's schema lies in a repository."""
    return f"{FOLDER}{pipeline}.yaml"


def schema_texts(versions: VersionStore, ref: str) -> dict[str, str]:
    """Return the schemas that go with a commit, by pipeline, as they were written."""
    found = {}
    for stored in versions.list(ref, FOLDER):
        name = stored.path.removeprefix(FOLDER)
        if name.endswith(".yaml"):
            with open_location(versions.location(stored)) as file:
                found[name.removesuffix(".yaml")] = file.read().decode()
    return found


def read_text(text: str, pipeline: str) -> Schema:
    """Read a schema of a commit; StoreError if another client wrote what is none."""
    try:
        return schema_from_yaml(text, object_path(pipeline))
    except RaypipeError as error:
        raise StoreError(
            str(error), hint="import again: what is used now takes its place"
        ) from error


def keep_text(
    versions: VersionStore, branch: str, pipeline: str, text: str, actor: Actor, message: str = ""
) -> None:
    """Let a schema go with a branch, by a commit of its own, unless it does so already."""
    if schema_texts(versions, branch).get(pipeline) == text:
        return
    with temporary_folder("raypipe-schema-") as folder:
        file = folder / "schema.yaml"
        file.write_text(text)
        versions.put(branch, object_path(pipeline), file)
    versions.commit(branch, message or f"The schema of {pipeline}", actor)


def keep_inferred(
    versions: VersionStore, branch: str, pipeline: str, schema: Schema, actor: Actor
) -> None:
    """Let an inferred schema go with the first rows; later ones are held to a person's file."""
    if pipeline not in schema_texts(versions, branch):
        said = f"The schema of {pipeline}, inferred from {amount(schema.rows or 0, 'row')}"
        keep_text(versions, branch, pipeline, schema_to_yaml(schema), actor, said)


def changed_schemas(versions: VersionStore, before: str, after: str) -> dict[str, Json]:
    """Return by pipeline how the schema of one commit differs from another's, in sentences."""
    old, new = schema_texts(versions, before), schema_texts(versions, after)
    found: dict[str, Json] = {}
    for name in sorted({*old, *new}):
        if old.get(name) == new.get(name):
            continue
        if name not in old or name not in new:
            found[name] = ["comes with the data now" if name in new else "is gone"]
            continue
        said = schema_changes(read_text(old[name], name), read_text(new[name], name))
        found[name] = list(said) or ["is written in another way, and means the same"]
    return found
