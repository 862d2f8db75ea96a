"""Edge cases read as an import would read them, and held to the data that they are cases of."""

import json
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raypipe.app.assemble import Workshop
from raypipe.config.cycle import CycleConfig
from raypipe.config.importing import ImportConfig
from raypipe.errors import UsageError
from raypipe.stages.data import dataset_at
from raypipe.stages.data.importing import convert_here
from raypipe.stages.data.inputs import find_inputs
from raypipe.stages.data.reading import open_bytes
from raypipe.stages.data.types import cast
from raypipe.store.locations import footer_of, open_location
from raypipe.store.temporary import temporary_folder
from raypipe.store.versions import did_you_mean
from raypipe.values.dataset import Dataset
from raypipe.values.hashing import canonical_text
from raypipe.values.uri import parse_uri

MOST = 10_000
"""Rows of a set: a person found each, and a run asks them in one process."""
SHOWN = 5
"""Values of a label that are named."""


def read_rows(
    workshop: Workshop, config: CycleConfig, file: Path, needed: Iterable[str]
) -> pa.Table:
    """Return a file's rows in the types of the pipeline's data; UsageError says what is amiss.

    Columns that are `needed` must be there.
    """
    uri = parse_uri(config.data.dataset)
    dataset = dataset_at(config.data.dataset, workshop.versions(uri, store=config.store))
    known = footer_of(dataset.shards[-1].location).schema.to_arrow_schema().remove_metadata()
    rows = _typed(_read(file, config.imports, known), known, file)
    _require(rows, needed, file)
    if not rows.num_rows:
        raise UsageError(f"{file} has no rows", hint="give the rows that later models are asked")
    _check_size(rows, str(file))
    _check_label(rows, dataset, config, file)
    return rows


def together(before: pa.Table, rows: pa.Table, name: str) -> pa.Table:
    """Return the rows of a set and those that are not in it yet."""
    try:
        both = pa.concat_tables([before, rows], promote_options="default")
    except pa.ArrowException as error:
        raise UsageError(
            f"the rows do not fit those of the edge cases {name!r}: {error}",
            hint=f"`raypipe edge-cases remove {name}` lets you begin anew",
        ) from error
    seen: set[tuple[str | None, ...]] = set()
    kept = []
    texts = zip(*(_texts(both[column]) for column in both.column_names), strict=True)
    for place, row in enumerate(texts):
        if row not in seen or place < before.num_rows:
            seen.add(row)
            kept.append(place)
    both = both.take(pa.array(kept, pa.int64())).combine_chunks()
    _check_size(both, f"the set {name!r}")
    return both


def _texts(column: pa.ChunkedArray) -> list[str | None]:
    nested = pa.types.is_nested(column.type) or pa.types.is_binary(column.type)
    return [repr(value) for value in column.to_pylist()] if nested else canonical_text(column)


def _read(file: Path, settings: ImportConfig, known: pa.Schema) -> pa.Table:
    plain = settings.model_copy(update={"rejects": None, "partition": None, "key": ()})
    found = find_inputs([file], plain)
    with temporary_folder("raypipe-edge-") as folder:
        converted = convert_here(found, plain, known, folder, agreed=False)
        parts = [pq.read_table(shard.file) for one in converted for shard in one.shards]
        empty = [one.schema for one in converted]
        table = pa.concat_tables([*empty, *parts], promote_options="default")
    if any(one.kind == "jsonl" for one in found):
        named = _named_in(file)
        table = table.select([name for name in table.column_names if name in named])
    return table.replace_schema_metadata(None).combine_chunks()


def _named_in(file: Path) -> set[str]:
    """Return the columns of which JSON lines tell; an import fills up those that the data has."""
    with open_bytes(str(file)) as stream:
        lines = stream.read().splitlines()
    return {name for line in lines if line.strip() for name in json.loads(line)}


def _typed(rows: pa.Table, known: pa.Schema, file: Path) -> pa.Table:
    """Return rows with the types of the data; columns that it has not stay as they are."""
    types = {field.name: field.type for field in known}
    for place, name in enumerate(rows.column_names):
        kind = types.get(name, rows[name].type)
        if rows[name].type == kind:
            continue
        try:
            column = pa.chunked_array([cast(one, kind) for one in rows[name].chunks], kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise UsageError(
                f"{file}: column {name!r} is {rows[name].type}, in the data it is {kind}: {error}",
                hint="write its values as the data has them",
            ) from error
        rows = rows.set_column(place, name, column)
    return rows


def _require(rows: pa.Table, needed: Iterable[str], file: Path) -> None:
    missing = [name for name in needed if name not in rows.column_names]
    if missing:
        named = ", ".join(map(repr, missing))
        raise UsageError(
            f"{file} has no column {named}" + did_you_mean(missing[0], rows.column_names),
            hint="edge cases need each column that the recipe reads, and the label",
        )


def _check_size(rows: pa.Table, what: str) -> None:
    if rows.num_rows > MOST:
        raise UsageError(
            f"{what} has {rows.num_rows:,} rows; edge cases are up to {MOST:,}",
            hint="import many rows as data: raypipe data import; or look at a slice of them: "
            "analysis.slices",
        )


def _check_label(rows: pa.Table, dataset: Dataset, config: CycleConfig, file: Path) -> None:
    """Raise UsageError for a label that is missing, or is no value that the data has."""
    name = config.data.label
    column = rows[name]
    if column.null_count:
        raise UsageError(
            f"{file}: the label {name!r} is null in {column.null_count} of {len(column)} rows",
            hint="a case without its answer cannot be judged; take these rows out",
        )
    if config.training.task == "regression":
        if not pc.all(pc.is_finite(pc.cast(column, pa.float64()))).as_py():
            raise UsageError(
                f"{file}: the label {name!r} is NaN or infinite in some rows",
                hint="a case without its answer cannot be judged; take these rows out",
            )
        return
    known = {value for shard in dataset.shards for value in _values_of(shard.location, name)}
    odd = [value for value in _values(column) if value not in known]
    if odd:
        shown = ", ".join(repr(one) for one in sorted(known, key=str)[:SHOWN])
        more = ", …" if len(known) > SHOWN else ""
        raise UsageError(
            f"{file}: the label {name!r} is {odd[0]!r}, which no row of the data has",
            hint=f"the data has {shown}{more}",
        )


def _values_of(location: str, name: str) -> list[object]:
    with open_location(location) as opened:
        return _values(pq.read_table(opened, columns=[name])[name])


def _values(column: pa.ChunkedArray) -> list[object]:
    """Return the distinct values of a column; of one of lists, those in the lists."""
    listed = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    found: list[object] = pc.unique(pc.list_flatten(column) if listed else column).to_pylist()
    return found
