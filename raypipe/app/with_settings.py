"""A home and its data as a settings file names them, where one is given."""

from pathlib import Path

from raypipe.app.assemble import Workshop
from raypipe.app.look import workshop_of
from raypipe.config.cycle import CycleConfig
from raypipe.config.load import load
from raypipe.store.versions import VersionStore
from raypipe.values.uri import DatasetUri, parse_uri


def settings_in(file: Path | None) -> CycleConfig | None:
    """Read a settings file, if one is given."""
    return load(file) if file is not None else None


def workshop_with(
    file: Path | None,
    config: CycleConfig | None,
    home: Path | None,
    *,
    write: bool = True,
    by: str | None = None,
) -> Workshop:
    """Open the home, and the lakeFS, that the settings in `file` name, else those of the folder."""
    store = config.store if config is not None else None
    return workshop_of(home, write=write, by=by, near=file, store=store)


def open_data(
    dataset: str, home: Path | None, file: Path | None = None, config: CycleConfig | None = None
) -> tuple[DatasetUri, VersionStore]:
    """Take a reference apart, and open its repository to look, as the settings in `file` say."""
    uri = parse_uri(dataset)
    return uri, workshop_with(file, config, home, write=False).versions(uri)
