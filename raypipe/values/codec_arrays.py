"""Bytes, arrays, tables and tensors in manifests: small ones inline, large ones as blobs.

Their libraries are imported by the values that are of them, never for plain ones.
"""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from raypipe.engine.digest import digest_bytes
from raypipe.engine.ports import Artifacts
from raypipe.engine.records import Json
from raypipe.errors import StoreError

INLINE = 64 * 1024
"""Bytes up to which data stands in the manifest itself."""

_LARGEST_TAKEN = 1 << 31
"""Bytes of text in a column from which on Arrow cannot copy it in one piece."""

Blobs = dict[str, bytes | Path]


def write(value: Any, blobs: Blobs) -> Json | None:
    """Return the tree of bytes, an array, a table or a tensor; None for anything else.

    A TypeError completes the sentence "the value …".
    """
    if type(value) is bytes:
        return {"k": "bytes", **_keep(value, blobs)}
    library = type(value).__module__.partition(".")[0]
    writer = _WRITERS.get(library)
    return None if writer is None else writer(value, blobs)


def read(node: Json, artifacts: Artifacts) -> Any:
    """Read what `write` wrote."""
    if node["k"] == "bytes":
        return base64.b64decode(node["v"]) if "v" in node else artifacts.read(node["b"])
    reader = _READERS.get(node["k"])
    if reader is None:
        raise StoreError(
            f"a manifest has a part of the unknown kind {node['k']!r}",
            hint="it was written by a later version; upgrade raypipe",
        )
    return reader(node, _kept(node, artifacts))


def _keep(data: bytes, blobs: Blobs) -> dict[str, Json]:
    if len(data) <= INLINE:
        return {"v": base64.b64encode(data).decode()}
    digest = digest_bytes(data)
    blobs[digest] = data
    return {"b": digest, "n": len(data)}


def _kept(node: Json, artifacts: Artifacts) -> bytes | memoryview:
    return base64.b64decode(node["v"]) if "v" in node else artifacts.view(node["b"])


# --- numpy --------------------------------------------------------------------------------------


def _write_numpy(value: Any, blobs: Blobs) -> Json | None:
    import numpy as np

    if type(value) is not np.ndarray and not isinstance(value, np.generic):
        return None
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise TypeError("is a numpy array of Python objects; give it a dtype")
    described = np.lib.format.dtype_to_descr(array.dtype)
    if np.lib.format.descr_to_dtype(described) != array.dtype:
        raise TypeError(f"is a numpy array of {array.dtype}; convert it to a dtype of numpy's own")
    kind = "array" if type(value) is np.ndarray else "scalar"
    return {"k": kind, "d": described, "s": list(array.shape), **_keep(array.tobytes(), blobs)}


def _read_numpy(node: Json, data: bytes | memoryview) -> Any:
    import numpy as np

    dtype = np.lib.format.descr_to_dtype(_as_descr(node["d"]))
    array = np.ndarray(node["s"], dtype=dtype, buffer=bytearray(data))
    return array if node["k"] == "array" else array[()]


def _as_descr(described: Json) -> Any:
    """Return a dtype's description as numpy wants it: JSON has made its tuples lists."""
    if isinstance(described, str):
        return described
    if described and isinstance(described[0], list):
        return [_as_field(*field) for field in described]
    return (_as_descr(described[0]), tuple(described[1]))


def _as_field(name: Json, described: Json, *shape: Json) -> tuple[Any, ...]:
    name = tuple(name) if isinstance(name, list) else name
    return (name, _as_descr(described), *map(tuple, shape))


# --- Arrow and pandas ---------------------------------------------------------------------------


def _write_arrow(value: Any, blobs: Blobs) -> Json | None:
    import pyarrow as pa

    if isinstance(value, pa.Schema):
        return {"k": "schema", **_keep(value.serialize().to_pybytes(), blobs)}
    if isinstance(value, pa.RecordBatch):
        return {"k": "batch", **_keep(_stream(pa.Table.from_batches([value])), blobs)}
    if isinstance(value, pa.Table):
        return {"k": "table", **_keep(_stream(value), blobs)}
    return None


def _stream(table: Any) -> bytes:
    """Return a table as one batch in Arrow's stream format: equal tables give equal bytes."""
    import pyarrow as pa

    whole = table.combine_chunks()
    columns = [_cleared(column) for column in whole.columns]
    whole = pa.Table.from_arrays(columns, schema=table.schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        if whole.num_rows:
            writer.write_table(whole)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _cleared(column: Any) -> Any:
    """Return a column without what may lie under its nulls and after its last bit."""
    import numpy as np
    import pyarrow as pa

    may_hide = column.null_count or pa.types.is_nested(column.type)
    has_spare_bits = pa.types.is_boolean(column.type)
    if not (may_hide or has_spare_bits) or column.nbytes >= _LARGEST_TAKEN:
        return column
    return column.take(np.arange(len(column)))


def _read_table(node: Json, data: bytes | memoryview) -> Any:
    import pyarrow as pa

    return pa.ipc.open_stream(pa.py_buffer(data)).read_all()


def _read_batch(node: Json, data: bytes | memoryview) -> Any:
    import pyarrow as pa

    table = _read_table(node, data)
    batches = table.to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _read_schema(node: Json, data: bytes | memoryview) -> Any:
    import pyarrow as pa

    return pa.ipc.read_schema(pa.py_buffer(data))


def _write_pandas(value: Any, blobs: Blobs) -> Json | None:
    import pandas as pd
    import pyarrow as pa

    if type(value) is not pd.DataFrame:
        return None
    try:
        table = pa.Table.from_pandas(value)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise TypeError(f"is a pandas frame that Arrow cannot hold: {error}") from error
    table = table.replace_schema_metadata(_without_versions(table.schema.metadata))
    return {"k": "frame", **_keep(_stream(table), blobs)}


def _without_versions(metadata: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Drop by which versions a frame was written, so that an upgrade does not change its digest."""
    pandas = json.loads(metadata[b"pandas"])
    kept = {
        name: part for name, part in pandas.items() if name not in {"creator", "pandas_version"}
    }
    return {**metadata, b"pandas": json.dumps(kept).encode()}


# --- torch --------------------------------------------------------------------------------------


def _write_torch(value: Any, blobs: Blobs) -> Json | None:
    import torch

    if not isinstance(value, torch.Tensor):
        return None
    if type(value) is not torch.Tensor:
        raise TypeError(f"is a torch {type(value).__name__}; keep its detach() or data")
    if value.layout is not torch.strided or value.is_quantized or value.is_meta:
        raise TypeError("is a sparse, quantized or meta tensor; make it a dense one")
    plain = value.detach().cpu().resolve_conj().resolve_neg().contiguous()
    data = plain.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b""
    dtype = str(plain.dtype).removeprefix("torch.")
    return {"k": "tensor", "d": dtype, "s": list(plain.shape), **_keep(data, blobs)}


def _read_torch(node: Json, data: bytes | memoryview) -> Any:
    import torch

    dtype = getattr(torch, node["d"])
    if not data:
        return torch.empty(node["s"], dtype=dtype)
    return torch.frombuffer(bytearray(data), dtype=torch.uint8).view(dtype).reshape(node["s"])


_WRITERS: dict[str, Callable[[Any, Blobs], Json | None]] = {
    "numpy": _write_numpy,
    "pyarrow": _write_arrow,
    "pandas": _write_pandas,
    "torch": _write_torch,
}

_READERS: dict[str, Callable[[Json, bytes | memoryview], Any]] = {
    "array": _read_numpy,
    "scalar": _read_numpy,
    "table": _read_table,
    "batch": _read_batch,
    "schema": _read_schema,
    "frame": lambda node, data: _read_table(node, data).to_pandas(),
    "tensor": _read_torch,
}
