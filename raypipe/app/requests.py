"""The request log as a person asks for it: is all of it there, and what was asked and answered."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raypipe.app.look import look
from raypipe.engine.records import Json
from raypipe.errors import NotFound, UsageError
from raypipe.store.faults import disk_faults
from raypipe.store.segments import (
    Found,
    Removed,
    being_read,
    inspect,
    read_records,
    read_removed,
    seal,
    segments,
)
from raypipe.store.segments.reading import records_of, verify

if TYPE_CHECKING:
    import pyarrow as pa

OURS = re.compile(r"1[4-9a-f][0-9a-f]{10}(?!4[0-9a-f]{3}[89ab])[0-9a-f]{20}")
"""An id of ours, as those begin from 2015 to 2043, that is no UUID of a client's."""
NEAR = 60.0
"""Seconds between when an id was made and when its request was answered, and more."""
SHOWN = 20
"""Most ids that are listed by name."""


def audit(home: Path | None, ids: Path | None = None) -> Json:
    """Read the whole log, and say whether all that was acknowledged is there.

    `ids` names a file of acknowledged request ids: a line each, or a table with `request_id`.
    `whole` says what came of it. What rules removed is counted by itself, and is not missing.
    """
    wanted = None if ids is None else read_ids(ids)
    folder = look(home).paths.requests
    with being_read(folder):
        return _audit(folder, wanted)


def _audit(folder: Path, wanted: set[str] | None) -> Json:
    removed = read_removed(folder)
    found = [verify(one) for one in inspect(folder)]
    counted: Counter[tuple[str, str, str]] = Counter()
    seen: Counter[str] = Counter()
    known: set[str] = set()
    whole = (one.segment for one in found if not one.said)
    for record in chain.from_iterable(map(records_of, whole)):
        kind = str(record.get("kind", "unknown"))
        about = (kind, str(record.get("model") or "-"), str(record.get("version") or "-"))
        counted[about] += 1
        if kind == "request":
            seen[str(record.get("id"))] += 1
            known |= {str(record["id"]), str(record.get("client_id") or record["id"])}
    faults = [_in_words(one) for one in found if not one.is_whole]
    twice = sorted(name for name, times in seen.items() if times > 1)
    absent = sorted(name for name in wanted or () if name not in known)
    by_rule = _by_rule(absent, removed)
    missing = sorted({*absent} - by_rule)
    said: dict[str, Any] = {
        "whole": not (faults or twice or missing),
        "segments": len(found),
        "open": sum(not one.segment.sealed for one in found),
        "records": sum(one.segment.records for one in found),
        "torn": sum(one.torn for one in found),
        "kinds": [
            {"kind": kind, "model": model, "version": version, "records": records}
            for (kind, model, version), records in sorted(counted.items())
        ],
        "faults": faults,
        "twice": twice[:SHOWN],
        "removed": {
            "segments": removed.segments,
            "requests": removed.requests,
            "labels": removed.labels,
            "first": removed.first,
            "last": removed.last,
            "at": removed.at,
        },
    }
    if wanted is not None:
        said |= {"acknowledged": len(wanted), "missing": len(missing), "ids": missing[:SHOWN]}
        said["removed"]["acknowledged"] = len(by_rule)
    return said


def _by_rule(absent: list[str], removed: Removed) -> set[str]:
    """Return the ids that rules may have removed: of that time, or of none, and no more than went.

    Which ids went is not kept, as that would grow with the log; ours begin with their time.
    """
    may = [one for one in absent if _may_be_of(one, removed)]
    return set(may[: removed.requests])


def _may_be_of(name: str, removed: Removed) -> bool:
    if removed.first is None or removed.last is None:
        return False
    if not OURS.fullmatch(name):
        return True
    return removed.first - NEAR <= int(name[:16], 16) / 1e9 <= removed.last + NEAR


def _in_words(found: Found) -> str:
    if found.said:
        return found.said
    parts = [f"{found.missing:,} records are missing"] if found.missing else []
    parts += [f"{found.damaged:,} bytes are damaged"] if found.damaged else []
    return f"segment {found.segment.uuid[:12]}: {', '.join(parts)}"


def read_ids(file: Path) -> set[str]:
    """Return the request ids that a file names."""
    from raypipe.app.models import read_rows

    if not file.is_file():
        raise NotFound(f"there is no file {str(file)!r}", hint="give a file of request ids")
    if file.suffix in {".parquet", ".csv", ".json", ".jsonl"}:
        table = read_rows(file)
        if "request_id" not in table.column_names:
            raise UsageError(
                f"{file.name!r} has no column 'request_id'; it has "
                f"{', '.join(table.column_names[:8])}",
                hint="give what `raypipe predict --out` wrote, or ids, one a line",
            )
        return {str(one) for one in table["request_id"].unique().to_pylist() if one is not None}
    try:
        return {line.strip() for line in file.read_text().splitlines() if line.strip()}
    except UnicodeDecodeError as error:
        raise UsageError(f"{file.name!r} is no text", hint="give ids, one a line") from error


def seal_log(home: Path | None) -> Json:
    """Seal what nobody writes to any more; return what there is then."""
    folder = look(home).paths.requests
    done = seal(folder)
    there = segments(folder)
    return {
        "sealed": len(done),
        "segments": len(there),
        "open": sum(not one.sealed for one in there),
        "records": sum(one.records for one in there),
    }


# --- export -------------------------------------------------------------------------------------


def export(
    name: str,
    out: Path,
    home: Path | None,
    *,
    since: str | None = None,
    until: str | None = None,
) -> Json:
    """Write a row for each row that a model was asked and answered; errors are left out."""
    from raypipe.app.models import writer_of

    write = writer_of(out)
    first, last = parse_time(since, "--since"), parse_time(until, "--until")
    model, _, version = name.partition("@")
    workshop = look(home)
    if version:
        version = workshop.ledger.version(model, version).version
    with being_read(workshop.paths.requests):
        records = [
            record
            for record in read_records(workshop.paths.requests)
            if record.get("kind") == "request"
            and record.get("model") == model
            and (not version or record.get("version") == version)
            and (first is None or record["time"] >= first)
            and (last is None or record["time"] < last)
        ]
    if not records:
        raise NotFound(
            f"the request log holds no request of {name!r}"
            + (" in that time" if since or until else ""),
            hint="`raypipe requests audit` says what it holds",
        )
    table = flat(records)
    with disk_faults(f"{str(out)!r} cannot be written"):
        write(table)
    return {"model": name, "requests": len(records), "rows": table.num_rows, "out": str(out)}


def parse_time(text: str | None, option: str) -> float | None:
    """Read a date or a moment in ISO 8601, in UTC where it names no zone; None for None."""
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} {text!r} is no moment in ISO 8601",
            hint="write 2026-01-31 or 2026-01-31T12:00",
        ) from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


ABOUT = ("request_id", "request_row", "time", "version", "unit")


def flat(records: Iterable[Json]) -> "pa.Table":
    """Return a row for each asked row: what names it, its fields, and what was answered."""
    import pyarrow as pa

    rows = [row for record in records for row in _rows(record)]
    names = list(dict.fromkeys([*ABOUT, *(name for row in rows for name in row)]))
    columns = {name: _column([row.get(name) for row in rows]) for name in names}
    times = pa.array([round(row["time"] * 1e6) for row in rows], pa.timestamp("us", tz="UTC"))
    return pa.table({**columns, "time": times})


def _rows(record: Json) -> Iterator[dict[str, Any]]:
    for row in range(record["rows"]):
        yield {
            "request_id": record["id"],
            "request_row": row,
            "time": record["time"],
            "version": record["version"],
            "unit": record.get("unit"),
            **{name: values[row] for name, values in record["columns"].items()},
            **{name: values[row] for name, values in record["outputs"].items()},
        }


def _column(values: list[Any]) -> "pa.Array":
    """Return values in the type that all of them have; as text where there is none."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
