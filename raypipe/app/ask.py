"""Asks a gateway for rows or images, over one connection, a batch of rows at a time."""

import http.client
import time
from base64 import b64encode
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import orjson

from raypipe.app.asked_rows import beside_answers, read_asked
from raypipe.app.gateway import find_ready
from raypipe.app.look import look
from raypipe.app.models import SHOWN, read_texts, require_writable, writer_of
from raypipe.engine.records import Json
from raypipe.errors import ClusterError, NotFound, RaypipeError, UsageError
from raypipe.store.faults import disk_faults

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 500
"""Rows of a request."""
BYTES = 3 << 20
"""Bytes of a request's rows as JSON, unless one row alone has more; a gateway takes 4 MiB."""
TIMEOUT = 120.0
ATTEMPTS = 10
"""Times that a gateway is asked which says that it cannot answer just now."""
ADDED = ("request_id", "request_row", "version")
"""Columns that are added to a file's, before the answers."""


def predict(
    name: str,
    file: Path,
    *,
    out: Path | None,
    url: str | None,
    unit: str | None,
    home: Path | None,
) -> Json:
    """Ask for each row of a file, or each image of a folder.

    The label's column, if it is there, is not shown to the model.

    `unit` names a column: rows of one value are answered by one version, whatever the route's
    shares. Returns where the answers lie, or the first of them.
    """
    write = None if out is None else writer_of(out)
    table = read_asked(file)
    if out is not None:
        require_writable(beside_answers(table, file), out)
    model, _, version = name.partition("@")
    if name.endswith("@") or not model:
        raise UsageError(f"{name!r} is no MODEL or MODEL@VERSION", hint="such as flights@1.0.0")
    if unit is not None and unit not in table.column_names:
        raise UsageError(
            f"{file.name!r} has no column {unit!r}; it has {', '.join(table.column_names[:12])}",
            hint="--unit names the column whose value says who is asked for",
        )
    connection = Connection(url or find_ready(look(home).paths).url)
    try:
        place = f"/v2/models/{quote(model)}" + (f"/versions/{quote(version)}" if version else "")
        about = connection.get(place)
        texts = [one["name"] for one in about["inputs"] if one["datatype"] == "BYTES"]
        table = read_texts(table, file, texts)
        answered = _ask(connection, place, about, table, unit)
    finally:
        connection.close()
    said: dict[str, Any] = {
        "model": model,
        "url": connection.url,
        "rows": answered.num_rows,
        "requests": len(answered["request_id"].unique()),
        "versions": _counts(answered["version"]),
    }
    if write is not None:
        with disk_faults(f"{str(out)!r} cannot be written"):
            write(beside_answers(answered, file))
        return {**said, "out": str(out)}
    added = [column for column in answered.column_names if column not in table.column_names]
    said["answers"] = answered.select(added).slice(0, SHOWN).to_pylist()
    if answered.num_rows > SHOWN:
        said["note"] = f"the first {SHOWN} of {answered.num_rows:,} rows; --out FILE keeps all"
    return said


def _counts(column: "pa.ChunkedArray") -> dict[str, int]:
    return {one["values"]: one["counts"] for one in column.value_counts().to_pylist()}


def _ask(
    connection: "Connection", place: str, about: Json, table: "pa.Table", unit: str | None
) -> "pa.Table":
    import pyarrow as pa

    outputs = {one["name"]: one["datatype"] for one in about["outputs"]}
    hidden = {about["properties"]["label"], *outputs, *ADDED}
    kept = table.select([name for name in table.column_names if name not in {*outputs, *ADDED}])
    shown = table.select([name for name in table.column_names if name not in hidden])
    sent = as_json(shown, {one["name"] for one in about["inputs"]})
    places: list[int] = []
    found: dict[str, list[Any]] = {name: [] for name in (*ADDED, *outputs)}
    whole = (piece for batch in batches(table, unit) for piece in pieces(batch, sent))
    for batch, rows in whole:
        answer = connection.post(
            f"{place}/predict",
            {"rows": rows, **({"unit": batch.unit} if batch.unit else {})},
            f"rows {batch.rows[0]} to {batch.rows[-1]}" if len(batch.rows) > 1 else "its row",
        )
        places.extend(batch.rows)
        found["request_id"] += [answer["request_id"]] * len(batch.rows)
        found["request_row"] += range(len(batch.rows))
        found["version"] += [answer["version"]] * len(batch.rows)
        for name in outputs:
            found[name] += [one[name] for one in answer["predictions"]]
    order = pa.array(sorted(range(len(places)), key=places.__getitem__), pa.int64())
    for name, values in found.items():
        kind = pa.float32() if outputs.get(name) == "FP32" else None
        kept = kept.append_column(name, pa.array(values, kind).take(order))
    return kept


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows that are asked for at once."""

    rows: Sequence[int]
    unit: str | None = None


def batches(table: "pa.Table", unit: str | None) -> Iterator[Batch]:
    """Yield the rows of a table, each once; those of a batch have one unit."""
    if not table.num_rows:
        raise UsageError("the file has no rows", hint="give one with rows")
    groups: dict[Any, list[int]] = {}
    if unit is None:
        groups[None] = list(range(table.num_rows))
    else:
        for row, value in enumerate(table[unit].to_pylist()):
            groups.setdefault(value, []).append(row)
    for value, rows in groups.items():
        for start in range(0, len(rows), ROWS):
            named = None if value is None else str(value)
            yield Batch(rows=rows[start : start + ROWS], unit=named)


def pieces(
    batch: Batch, sent: Mapping[str, Sequence[Any]]
) -> Iterator[tuple[Batch, list[orjson.Fragment]]]:
    """Divide a batch into requests that a gateway reads, each with its rows as JSON."""
    rows: list[int] = []
    texts: list[bytes] = []
    size = 0
    for row in batch.rows:
        text = orjson.dumps({name: values[row] for name, values in sent.items()})
        if rows and size + len(text) > BYTES:
            yield replace(batch, rows=rows), [orjson.Fragment(one) for one in texts]
            rows, texts, size = [], [], 0
        rows.append(row)
        texts.append(text)
        size += len(text)
    yield replace(batch, rows=rows), [orjson.Fragment(one) for one in texts]


def as_json(table: "pa.Table", features: Collection[str] = ()) -> dict[str, list[Any]]:
    """Return columns as a gateway reads them: moments, dates and decimals as text, bytes as base64.

    Of lists and bytes only those that the model reads: a gateway keeps no others.
    """
    import pyarrow as pa

    columns: dict[str, list[Any]] = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        kind = column.type
        is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
        if (is_bytes or pa.types.is_nested(kind)) and name not in features:
            continue
        inner = kind.value_type if pa.types.is_list(kind) else kind
        if pa.types.is_temporal(inner) or pa.types.is_decimal(inner):
            column = column.cast(pa.list_(pa.string()) if inner is not kind else pa.string())
        values = column.to_pylist()
        if is_bytes:
            values = [None if one is None else b64encode(one).decode() for one in values]
        columns[name] = values
    return columns


# --- HTTP ---------------------------------------------------------------------------------------


class Connection:
    """One connection to a gateway, taken up again where it breaks off between two requests."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        try:
            port, is_known = parts.port, parts.scheme in {"http", "https"}
        except ValueError:
            port, is_known = None, False
        if not is_known or not parts.hostname:
            raise UsageError(
                f"{url!r} is no address of a gateway", hint="such as http://127.0.0.1:8000"
            )
        self.url = url.rstrip("/")
        self._prefix = parts.path.rstrip("/")
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(parts.hostname, port, timeout=TIMEOUT)

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def get(self, path: str) -> Json:
        """Return what a GET answers."""
        return self._ask("GET", path, None, "")

    def post(self, path: str, body: Json, what: str) -> Json:
        """Return what a POST of JSON answers; `what` names what is asked for, in errors."""
        return self._ask("POST", path, orjson.dumps(body), what)

    def _ask(self, method: str, path: str, body: bytes | None, what: str) -> Json:
        headers = {"content-type": "application/json"} if body is not None else {}
        for attempt in range(ATTEMPTS):
            try:
                self._connection.request(method, self._prefix + path, body, headers)
                response = self._connection.getresponse()
                data = response.read()
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                if not isinstance(error, http.client.RemoteDisconnected) or attempt:
                    raise self._not_there(error) from error
                continue
            if response.status != 503 or attempt == ATTEMPTS - 1:
                return self._read(response.status, data, what)
            time.sleep(_seconds(response.getheader("retry-after")))
        raise self._not_there(TimeoutError("it cannot answer just now"))

    def _read(self, status: int, data: bytes, what: str) -> Json:
        try:
            answer = orjson.loads(data)
        except orjson.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict) or (status >= 300 and "error" not in answer):
            answer = {"error": f"what answers there is no gateway (status {status})"}
            status = max(status, 500)
        if status < 300:
            return answer
        raise _refusal(status, str(answer["error"]), what, self.url)

    def _not_there(self, error: Exception) -> ClusterError:
        return ClusterError(
            f"the gateway at {self.url} does not answer: {error}",
            hint="`raypipe serve status` says whether it is up, `raypipe serve start` starts it",
        )


def _seconds(told: str | None) -> float:
    return min(5.0, float(told)) if told and told.isdigit() else 1.0


def _refusal(status: int, said: str, what: str, url: str) -> RaypipeError:
    if status == 404:
        return NotFound(said, hint="`raypipe serve status` shows what is served")
    if status < 500:
        return UsageError(f"{said} (asked for {what})" if what else said)
    return ClusterError(f"the gateway at {url} says: {said}", hint="raypipe serve status")
