"""Model versions: which there are, what is in them, and what they answer."""

from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raypipe.app.assemble import Workshop
from raypipe.app.look import look
from raypipe.engine.records import Json
from raypipe.errors import NotFound, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from raypipe.store.ledger import SqliteLedger
    from raypipe.store.rows import ModelVersionRow

CHAMPION = "champion"


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
        "changelog": asdict(version.changelog),
        "run": row.run,
        "bundle": str(version.bundle),
        "report": None if report is None else str(_value(workshop, report)),
    }


def _value(workshop: Workshop, digest: str) -> Any:
    return workshop.codec.decode(workshop.artifacts.read(digest), workshop.artifacts)


def find_version(ledger: "SqliteLedger", name: str) -> "ModelVersionRow":
    """Return the row of `MODEL` (its champion), `MODEL@VERSION` or `MODEL@ALIAS`."""
    model, _, version = name.partition("@")
    known = list(ledger.models())
    if model not in known:
        close = get_close_matches(model, known, n=1)
        hint = (
            f"did you mean {close[0]!r}?" if close else f"there is {', '.join(known) or 'none yet'}"
        )
        raise NotFound(f"there is no model {model!r}", hint=hint)
    return ledger.version(model, version or CHAMPION)


def score(name: str, file: Path, out: Path | None, home: Path | None) -> Json:
    """Answer for each row of a file with one version.

    Returns where the answers lie, or the first of them.
    """
    table = read_rows(file)
    workshop = look(home)
    row = find_version(workshop.ledger, name)
    answered = load(workshop, row).score(table)
    said: dict[str, Any] = {"model": row.model, "version": row.version, "rows": answered.num_rows}
    if out is None:
        added = [c for c in answered.column_names if c not in table.column_names]
        return {**said, "answers": answered.select(added).slice(0, 20).to_pylist()}
    import pyarrow.parquet as pq

    pq.write_table(answered, out)
    return {**said, "out": str(out)}


def load(workshop: Workshop, row: "ModelVersionRow") -> Any:
    """Load a version's bundle; its module is rebuilt from the code snapshot that it names."""
    from raypipe.model.bundle import load_bundle

    return load_bundle(workshop.artifacts.path(row.bundle), workshop.artifacts.path)


def read_rows(file: Path) -> "pa.Table":
    """Read rows from Parquet, CSV or JSON lines; UsageError names what is wrong with the file."""
    if not file.is_file():
        raise NotFound(
            f"there is no file {str(file)!r}", hint="give a file of rows: .parquet, .csv or .jsonl"
        )
    import pyarrow as pa
    from pyarrow import csv, json, parquet

    readers = {
        ".parquet": parquet.read_table,
        ".csv": csv.read_csv,
        ".json": json.read_json,
        ".jsonl": json.read_json,
    }
    if file.suffix not in readers:
        raise UsageError(f"{file.name!r} is none of {', '.join(readers)}", hint="convert it")
    try:
        return readers[file.suffix](file)
    except (pa.ArrowInvalid, OSError) as error:
        first = str(error).splitlines()[0]
        raise UsageError(f"{file.name!r} cannot be read: {first}", hint="write it again") from error
