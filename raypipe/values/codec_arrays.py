"""Arrays, tables and tensors in manifests: small ones inline, large ones as blobs.

Libraries load when needed.
"""

import base64
from pathlib import Path
from typing import Any

from raypipe.engine.digest import Tree, digest_bytes
from raypipe.engine.ports import Artifacts
from raypipe.errors import StoreError

INLINE = 64 * 1024
"""Bytes up to which an array stands in the manifest itself."""


def write(value: Any, blobs: list[bytes | Path]) -> Tree | None:
    """Return the tree of an array, table or tensor; None for anything else."""
    library = type(value).__module__.partition(".")[0]
    if library == "numpy":
        return _write_numpy(value, blobs)
    if library == "pyarrow":
        return _write_arrow(value, blobs)
    if library == "torch":
        return _write_torch(value, blobs)
    if library == "pandas":
        return _write_pandas(value, blobs)
    return None


def read(tree: Tree, artifacts: Artifacts) -> Any:
    """Read what `write` wrote."""
    readers = {
        "array": _read_numpy,
        "scalar": lambda t, a: _read_numpy(t, a)[()],
        "table": _read_arrow,
        "batch": _read_arrow,
        "schema": _read_arrow,
        "tensor": _read_torch,
        "frame": lambda t, a: _read_arrow(t, a).to_pandas(),
    }
    if tree["k"] not in readers:
        raise StoreError(
            f"a manifest has a part of the unknown kind {tree['k']!r}",
            hint="it was written by a later version; upgrade raypipe",
        )
    return readers[tree["k"]](tree, artifacts)


def _keep(data: bytes, blobs: list[bytes | Path]) -> Tree:
    if len(data) <= INLINE:
        return {"v": base64.b64encode(data).decode()}
    blobs.append(data)
    return {"b": digest_bytes(data), "n": len(data)}


def _kept(tree: Tree, artifacts: Artifacts) -> bytes:
    return base64.b64decode(tree["v"]) if "v" in tree else artifacts.read(tree["b"])


def _write_numpy(value: Any, blobs: list[bytes | Path]) -> Tree | None:
    import numpy as np

    if not isinstance(value, np.ndarray | np.generic):
        return None
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise TypeError("a numpy array of Python objects; give it a dtype")
    kind = "array" if isinstance(value, np.ndarray) else "scalar"
    dtype = array.dtype.newbyteorder("<") if array.dtype.byteorder == ">" else array.dtype
    data = np.ascontiguousarray(array, dtype=dtype).tobytes()
    described = dtype.descr if dtype.names else dtype.str
    return {"k": kind, "d": described, "s": list(array.shape), **_keep(data, blobs)}


def _read_numpy(tree: Tree, artifacts: Artifacts) -> Any:
    import numpy as np

    described = tree["d"]
    dtype = np.dtype(
        described if isinstance(described, str) else [tuple(field) for field in described]
    )
    return np.frombuffer(_kept(tree, artifacts), dtype=dtype).reshape(tree["s"]).copy()


def _write_arrow(value: Any, blobs: list[bytes | Path]) -> Tree | None:
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

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        if table.num_rows:
            writer.write_table(table.combine_chunks())
    return bytes(sink.getvalue().to_pybytes())


def _read_arrow(tree: Tree, artifacts: Artifacts) -> Any:
    import pyarrow as pa

    data = pa.py_buffer(_kept(tree, artifacts))
    if tree["k"] == "schema":
        return pa.ipc.read_schema(data)
    table = pa.ipc.open_stream(data).read_all()
    if tree["k"] != "batch":
        return table
    batches = table.to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _write_torch(value: Any, blobs: list[bytes | Path]) -> Tree | None:
    import torch

    if not isinstance(value, torch.Tensor):
        return None
    plain = value.detach().cpu().contiguous()
    data = plain.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b""
    return {
        "k": "tensor",
        "d": str(plain.dtype).removeprefix("torch."),
        "s": list(plain.shape),
        **_keep(data, blobs),
    }


def _read_torch(tree: Tree, artifacts: Artifacts) -> Any:
    import torch

    dtype = getattr(torch, tree["d"])
    data = bytearray(_kept(tree, artifacts))
    if not data:
        return torch.empty(tree["s"], dtype=dtype)
    return torch.frombuffer(data, dtype=torch.uint8).view(dtype).reshape(tree["s"])


def _write_pandas(value: Any, blobs: list[bytes | Path]) -> Tree | None:
    import pandas as pd
    import pyarrow as pa

    if not isinstance(value, pd.DataFrame):
        return None
    return {"k": "frame", **_keep(_stream(pa.Table.from_pandas(value)), blobs)}
