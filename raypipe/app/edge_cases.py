"""Sets of edge cases that people keep: added to, listed, shown, removed, and at hand for a run.

Each is one Parquet file of the home, with the types that the data has. What tells of it is in the
file too, so that a set is there whole or not at all.
"""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raypipe.app.assemble import Workshop
from raypipe.app.look import look, workshop_of
from raypipe.app.with_settings import workshop_with
from raypipe.config.cycle import CycleConfig
from raypipe.config.load import load
from raypipe.config.tuning import recipes
from raypipe.engine.records import Json
from raypipe.errors import NotFound, StoreError, UsageError
from raypipe.store.content import replace_file
from raypipe.store.faults import disk_faults
from raypipe.store.uses import Uses
from raypipe.values.edge_cases import EdgeCases

if TYPE_CHECKING:
    import pyarrow as pa

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
"""How a set is named: its metrics are names of an expression, `edge.night.accuracy`."""
WORDS = frozenset({"and", "or", "not", "in", "is", "if", "else", "for", "lambda", "as", "from"})
"""Words of Python that an expression would not read as a part of a name."""
TOLD = b"raypipe.edge_cases"
"""Key of a file's metadata: who made the set, and when."""


def add_edge_cases(
    name: str, file: Path, *, config: Path, home: Path | None = None, by: str | None = None
) -> Json:
    """Add a file's rows to a set, which is made if it is new; rows that are in it already are not.

    UsageError where the rows are none that the pipeline of `config` can be asked and judged by.
    """
    from raypipe.app.edge_reading import read_rows, together

    _check_name(name)
    cycle = load(config)
    look(home)  # a home that is not there is not made
    workshop = workshop_with(config, cycle, home, by=by)
    rows = read_rows(workshop, cycle, file, needed(cycle))
    kept = _file(workshop, cycle.name, name)
    with Uses(workshop.paths.uses).cleaning():  # of two who add at once, both have their rows in
        before = _read(kept) if kept.exists() else None
        all_rows = rows if before is None else together(before, rows, name)
        told = {"by": asdict(workshop.actor), "time": time.time()}
        with disk_faults(f"the edge cases {kept} cannot be written"):
            kept.parent.mkdir(parents=True, exist_ok=True)
            replace_file(kept, _written(all_rows, told))
    added = all_rows.num_rows - (0 if before is None else before.num_rows)
    return {**_told(kept), "added": added}


def list_edge_cases(home: Path | None = None) -> list[Json]:
    """Return the sets of all pipelines, by name."""
    return [_told(file) for file in _files(look(home))]


def show_edge_cases(name: str, *, config: Path | None = None, home: Path | None = None) -> Json:
    """Return a set with its rows; NotFound if there is none."""
    file = _find(name, config, look(home))
    return {**_told(file), "cases": _read(file).to_pylist()}


def remove_edge_cases(name: str, *, config: Path | None = None, home: Path | None = None) -> Json:
    """Remove a set; what runs found of it stays theirs."""
    look(home)
    workshop = workshop_of(home)
    file = _find(name, config, workshop)
    told = _told(file)
    with disk_faults(f"the edge cases {file} cannot be removed"):
        file.unlink(missing_ok=True)
    return told


def kept_edge_cases(workshop: Workshop, config: CycleConfig) -> tuple[EdgeCases, ...]:
    """Return the sets of a pipeline by name.

    UsageError where settings bound one that is not there, which would pass unseen, or where one
    lacks a column that a recipe reads: told before anything runs.
    """
    files = list(_files(workshop, config.name))
    known = [file.stem for file in files]
    for name in config.analysis.edge_cases:
        if name not in known:
            raise UsageError(
                f"analysis.edge_cases bounds the set {name!r}, which the home does not have",
                hint=f"there is {', '.join(known) or 'none'}; `raypipe edge-cases add {name} FILE "
                "--config SETTINGS` keeps one",
            )
    sets = tuple(EdgeCases(name=file.stem, rows=_read(file)) for file in files)
    for one in sets:
        if missing := [name for name in needed(config) if name not in one.rows.column_names]:
            raise UsageError(
                f"the edge cases {one.name!r} have no column {', '.join(map(repr, missing))}, "
                "which the settings read now",
                hint=f"`raypipe edge-cases remove {one.name}`, and add its rows with it",
            )
    return sets


def needed(config: CycleConfig) -> list[str]:
    """Return the columns that a model of these settings reads, and the label."""
    tried = recipes(config.tuning.space, config.written)
    groups = [one for recipe in (*tried, config.preprocessing) for one in recipe.groups]
    return [*dict.fromkeys(name for one in groups for name in one.columns), config.data.label]


# --- files of a home ----------------------------------------------------------------------------


def _check_name(name: str) -> None:
    if NAME.fullmatch(name) is None or name in WORDS:
        raise UsageError(
            f"edge cases cannot be named {name!r}",
            hint="a name is up to 40 small letters, digits and _, a letter first, such as night; "
            "it becomes a part of edge.NAME.METRIC",
        )


def _file(workshop: Workshop, pipeline: str, name: str) -> Path:
    return workshop.paths.edge_cases / pipeline / f"{name}.parquet"


def _files(workshop: Workshop, pipeline: str = "*") -> Iterator[Path]:
    for file in sorted(workshop.paths.edge_cases.glob(f"{pipeline}/*.parquet")):
        if NAME.fullmatch(file.stem):  # not what a writer left aside
            yield file


def _find(name: str, config: Path | None, workshop: Workshop) -> Path:
    pipeline = "*" if config is None else load(config).name
    every = list(_files(workshop, pipeline))
    found = [file for file in every if file.stem == name]
    if not found:
        names = ", ".join(sorted({file.stem for file in every}))
        raise NotFound(
            f"there are no edge cases {name!r}", hint=f"there is {names or 'none'} in this home"
        )
    if len(found) > 1:
        of = ", ".join(file.parent.name for file in found)
        raise UsageError(
            f"several pipelines have edge cases {name!r}: {of}", hint="say which by --config FILE"
        )
    return found[0]


def _written(rows: "pa.Table", told: Json) -> bytes:
    import pyarrow.parquet as pq

    buffer = BytesIO()
    pq.write_table(rows.replace_schema_metadata({TOLD: json.dumps(told).encode()}), buffer)
    return buffer.getvalue()


def _read(file: Path) -> "pa.Table":
    """Return the rows of a set alone: who made it, and when, is no content."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(file).replace_schema_metadata(None)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(file, error) from error


def _told(file: Path) -> Json:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        footer = pq.ParquetFile(file)
        metadata: dict[bytes, Any] = footer.schema_arrow.metadata or {}
        told = json.loads(metadata[TOLD])
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise _unreadable(file, error) from error
    return {
        "name": file.stem,
        "pipeline": file.parent.name,
        "rows": footer.metadata.num_rows,
        "columns": footer.schema_arrow.names,
        "by": told["by"].get("name") or told["by"].get("user"),
        "time": told["time"],
    }


def _unreadable(file: Path, error: Exception) -> StoreError:
    return StoreError(
        f"the edge cases {file} cannot be read: {error}",
        hint="restore the file from a copy, or remove it and add the rows again",
    )
