"""Model versions: which there are, what is in them, and what they answer."""

import time
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raypipe.app.assemble import Workshop
from raypipe.app.look import look
from raypipe.engine.records import Json
from raypipe.errors import NotFound, UsageError
from raypipe.store.faults import disk_faults
from raypipe.values.version import FOUND

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import pyarrow as pa

    from raypipe.engine.records import StepState
    from raypipe.store.ledger import SqlLedger
    from raypipe.store.rows import ModelVersionRow

CHAMPION = "champion"
FIRST = "there is none yet: `raypipe run FILE` makes the first, once its review is approved"
SHOWN = 20
"""Answers that are shown where no file is named for them."""


def list_models(home: Path | None) -> list[Json]:
    """Return each model with its versions and aliases."""
    ledger = look(home).ledger
    return [
        {
            "model": model,
            "aliases": dict(ledger.aliases(model)),
            "versions": [row.version for row in ledger.versions(model)],
        }
        for model in ledger.models()
    ]


def show_model(name: str, home: Path | None) -> Json:
    """Return one version: its metrics, its changelog, and where bundle and report lie."""
    workshop = look(home)
    row = find_version(workshop.ledger, name)
    version = _value(workshop, row.value)
    steps = {state.name: state for state in workshop.ledger.run_steps(row.run)}
    report = steps["report"].digest if "report" in steps else None
    signature = version.lineage.signature
    found = version.lineage.settings.get(FOUND)
    aliases = [a for a, v in workshop.ledger.aliases(row.model).items() if v == row.version]
    return {
        "model": row.model,
        "version": row.version,
        "aliases": aliases,
        "approved by": version.approved_by + (f": {version.note}" if version.note else ""),
        "metrics": {
            metric: f"{value:.4f} ({low:.4f} to {high:.4f})"
            for metric, (value, low, high) in version.metrics.items()
        },
        "predicts": str(signature.label),
        "a request holds": {one.name: one.type for one in signature.features},
        "the model reads": {one.name: str(one) for one in signature.tensors},
        "looks at its analysis split": _looks(workshop, steps.get("admit")),
        **({"found by the sweep": found} if found else {}),
        "changelog": asdict(version.changelog),
        "run": row.run,
        "bundle": str(version.bundle),
        "report": None if report is None else str(_value(workshop, report)),
    }


def _looks(workshop: Workshop, admitted: "StepState | None") -> int | None:
    """Return how often the analysis split of the dataset that was admitted has been looked at.

    The more often, the less its metrics say of rows that nobody has seen.
    """
    key = admitted.key if admitted is not None else None
    result = workshop.ledger.live_results([key], time.time()).get(key) if key else None
    if result is None:
        return None
    return workshop.ledger.looks(str(result.explanation.parameters["dataset"]))


def _value(workshop: Workshop, digest: str) -> Any:
    return workshop.codec.decode(workshop.artifacts.read(digest), workshop.artifacts)


def find_version(ledger: "SqlLedger", name: str) -> "ModelVersionRow":
    """Return the row of `MODEL` (its champion), `MODEL@VERSION` or `MODEL@ALIAS`."""
    model, _, version = name.partition("@")
    require_model(ledger, model)
    if name.endswith("@"):
        raise UsageError(
            f"{name!r} names no version after the @",
            hint=f"leave the @ away for the champion, or name one: {model}@1.0.0",
        )
    return ledger.version(model, version or CHAMPION)


def require_model(ledger: "SqlLedger", model: str) -> None:
    """NotFound unless there is a version of this model; the hint says which there are."""
    known = list(ledger.models())
    if model in known:
        return
    if not model:
        raise UsageError("no model is named", hint="such as flights, or flights@1.0.0")
    close = get_close_matches(model, known, n=1)
    there = f"there is {', '.join(known)}" if known else FIRST
    hint = f"did you mean {close[0]!r}?" if close else there
    raise NotFound(f"there is no model {model!r}", hint=hint)


def score(name: str, file: Path, out: Path | None, home: Path | None) -> Json:
    """Answer for each row of a file, or each image of a folder, with one version.

    Returns where the answers lie, or the first of them.
    """
    from raypipe.app.asked_rows import beside_answers, read_asked

    write = None if out is None else writer_of(out)
    table = read_asked(file)
    if out is not None:
        require_writable(beside_answers(table, file), out)
    workshop = look(home)
    row = find_version(workshop.ledger, name)
    loaded = load(workshop, row)
    texts = [one.name for one in loaded.signature.features if "string" in one.type]
    answered = loaded.score(read_texts(table, file, texts))
    said: dict[str, Any] = {"model": row.model, "version": row.version, "rows": answered.num_rows}
    if write is not None:
        with disk_faults(f"{str(out)!r} cannot be written"):
            write(beside_answers(answered, file))
        return {**said, "out": str(out)}
    added = [c for c in answered.column_names if c not in table.column_names]
    said["answers"] = answered.select(added).slice(0, SHOWN).to_pylist()
    if answered.num_rows > SHOWN:
        said["note"] = f"the first {SHOWN} of {answered.num_rows:,} rows; --out FILE keeps all"
    return said


def writer_of(out: Path) -> "Callable[[pa.Table], None]":
    """Return what writes a table to a file; UsageError says why none can, before any work."""
    if out.suffix not in {".parquet", ".csv"}:
        raise UsageError(f"--out {str(out)!r} is neither .parquet nor .csv", hint="name it so")
    if not out.absolute().parent.is_dir():
        raise UsageError(
            f"--out {str(out)!r}: there is no folder {str(out.parent)!r}", hint="make it first"
        )
    if out.is_dir():
        raise UsageError(f"--out {str(out)!r} is a folder", hint="name a file in it")
    from pyarrow import csv, parquet

    def write(table: "pa.Table") -> None:
        require_writable(table, out)
        (parquet.write_table if out.suffix == ".parquet" else csv.write_csv)(table, str(out))

    return write


def require_writable(table: "pa.Table", out: Path) -> None:
    """UsageError where a file cannot hold a column: CSV has no lists, and no bytes."""
    from pyarrow import types

    if out.suffix != ".csv":
        return
    for field in table.schema:
        if types.is_nested(field.type) or types.is_binary(field.type):
            raise UsageError(
                f"--out {str(out)!r}: CSV cannot hold the column {field.name!r} ({field.type})",
                hint=f"name it {str(out.with_suffix('.parquet'))!r}",
            )


def load(workshop: Workshop, row: "ModelVersionRow") -> Any:
    """Load a version's bundle; its module is rebuilt from the code snapshot that it names."""
    from raypipe.model.bundle import load_bundle

    return load_bundle(workshop.artifacts.path(row.bundle), workshop.artifacts.path)


def read_rows(file: Path) -> "pa.Table":
    """Read rows from Parquet, CSV or JSON lines; UsageError names what is wrong with the file.

    CSV is read as an import reads it: an empty cell has no value.
    """
    if file.is_dir():
        raise UsageError(
            f"{str(file)!r} is a folder",
            hint="give a file of rows: .parquet, .csv or .jsonl; images are a column of bytes in a "
            ".parquet, as in the shards that `raypipe data import` makes of a folder",
        )
    if not file.is_file():
        raise NotFound(
            f"there is no file {str(file)!r}", hint="give a file of rows: .parquet, .csv or .jsonl"
        )
    import pyarrow as pa
    from pyarrow import json, parquet

    readers = {
        ".parquet": parquet.read_table,
        ".csv": _read_csv,
        ".json": json.read_json,
        ".jsonl": json.read_json,
    }
    if file.suffix not in readers:
        raise UsageError(f"{file.name!r} is none of {', '.join(readers)}", hint="convert it")
    try:
        table = readers[file.suffix](file)
    except (pa.ArrowInvalid, OSError) as error:
        first = str(error).splitlines()[0]
        raise UsageError(f"{file.name!r} cannot be read: {first}", hint="write it again") from error
    _require_different_names(table, file)
    return table


def read_texts(table: "pa.Table", file: Path, texts: "Collection[str]") -> "pa.Table":
    """Return a file's rows with these columns as text, where CSV only looks like numbers: 01067."""
    import pyarrow as pa
    from pyarrow.types import is_boolean, is_floating, is_integer

    guessed = (field for field in table.schema if field.name in texts)
    wrong = {
        field.name: pa.string()
        for field in guessed
        if is_integer(field.type) or is_floating(field.type) or is_boolean(field.type)
    }
    return _read_csv(file, wrong) if wrong and file.suffix == ".csv" else table


def _read_csv(file: Path, types: "Mapping[str, pa.DataType] | None" = None) -> "pa.Table":
    from pyarrow import csv

    return csv.read_csv(
        file,
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(column_types=types, strings_can_be_null=True),
    )


def _require_different_names(table: "pa.Table", file: Path) -> None:
    names = table.column_names
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(
            f"{file.name!r} has the column {twice!r} {names.count(twice)} times",
            hint="name each column once",
        )
