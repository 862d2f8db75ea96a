"""Arrays, tables and tensors come back bit for bit; equal tables count as equal."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from raypipe.engine.digest import digest_bytes
from raypipe.values.codec import TreeCodec
from raypipe.values.codec_arrays import INLINE

CODEC = TreeCodec(str)


class Blobs:
    """Artifacts of one value, in memory."""

    def __init__(self, blobs: tuple[bytes | Path, ...]) -> None:
        self._of = {digest_bytes(blob): blob for blob in blobs if isinstance(blob, bytes)}

    def read(self, digest: str) -> bytes:
        return self._of[digest]

    def view(self, digest: str) -> bytes:
        return self.read(digest)


def kept(value: Any) -> Any:
    encoded = CODEC.encode(value)
    return CODEC.decode(encoded.manifest, Blobs(encoded.blobs))


def digest(value: Any) -> str:
    return CODEC.encode(value).digest


# --- numpy --------------------------------------------------------------------------------------

ARRAYS = {
    "matrix": np.arange(6).reshape(2, 3),
    "transposed": np.arange(6).reshape(2, 3).T,
    "strided": np.arange(10)[::3],
    "no dimension": np.array(5),
    "empty": np.zeros((0, 3), np.float32),
    "big-endian": np.array([1, 2], ">i4"),
    "half": np.array([0.5, np.nan], np.float16),
    "bool": np.array([True, False]),
    "text": np.array(["a", "Zürich"]),
    "bytes": np.array([b"ab", b"c"]),
    "time": np.array(["2013-01-31", "NaT"], "M8[ns]"),
    "record": np.array([("a", 1, [1, 2])], [("n", "U3"), ("i", ">i4"), ("s", "f4", (2,))]),
    "nested record": np.zeros(3, [("a", [("b", "i1"), ("c", "f8")])]),
    "aligned record": np.zeros(2, np.dtype([("a", "i1"), ("b", "i4")], align=True)),
    "large": np.arange(INLINE, dtype=np.int64),
}


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_an_array_comes_back_bit_for_bit(array):
    again = kept(array)
    assert type(again) is np.ndarray
    assert again.dtype == array.dtype
    assert again.shape == array.shape
    assert again.tobytes() == array.tobytes()


@settings(max_examples=50, deadline=None, database=None)
@given(arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(min_dims=0, min_side=0)))
def test_any_array_comes_back_bit_for_bit(array):
    again = kept(array)
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    assert again.tobytes() == array.tobytes()
    assert digest(again) == digest(array)


@pytest.mark.parametrize(
    "scalar",
    [np.float32(0.1), np.int8(-1), np.bool_(True), np.datetime64("2013-01-31"), np.str_("a")],
)
def test_a_scalar_of_numpy_keeps_its_type(scalar):
    again = kept(scalar)
    assert type(again) is type(scalar)
    assert again == scalar


def test_an_array_that_was_kept_can_be_written_to():
    again = kept(np.zeros(3))
    again[0] = 1
    assert again.tolist() == [1, 0, 0]


def test_how_an_array_lies_in_memory_does_not_count():
    array = np.arange(6).reshape(2, 3)
    assert (
        digest(array) == digest(np.asfortranarray(array)) == digest(np.arange(12)[:6].reshape(2, 3))
    )


@pytest.mark.parametrize(
    "other", [np.zeros(3, np.float32), np.zeros((3, 1)), np.zeros(4), np.ones(3), [0.0, 0.0, 0.0]]
)
def test_the_type_and_shape_and_content_of_an_array_count(other):
    assert digest(other) != digest(np.zeros(3))


def test_a_small_array_stands_in_the_manifest_and_a_large_one_beside_it():
    small, large = np.zeros(INLINE, np.uint8), np.zeros(INLINE + 1, np.uint8)
    assert CODEC.encode(small).blobs == ()
    assert CODEC.encode(large).blobs == (large.tobytes(),)
    assert len(CODEC.encode(large).manifest) < 300


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.array([object()]), "Python objects"),
        (np.ma.masked_array([1, 2], mask=[True, False]), "MaskedArray"),
        (np.zeros(1).dtype, "Float64DType"),
        (np.array(["a"], np.dtypes.StringDType()), "StringDType|Python objects"),
        (pa.array([1]), "Int64Array"),
        (pa.chunked_array([[1]]), "ChunkedArray"),
        (pd.Series([1]), "Series"),
        (pd.DataFrame({"a": [1, "x"]}), "Arrow cannot hold"),
        (torch.nn.Parameter(torch.zeros(1)), "Parameter"),
        (torch.zeros(2, 2).to_sparse(), "sparse"),
        (torch.zeros(2, device="meta"), "meta"),
        (torch.nn.Linear(1, 1), "Linear"),
    ],
    ids=lambda part: part if isinstance(part, str) else type(part).__name__,
)
def test_what_would_lose_something_is_refused_by_name_and_place(value, said):
    with pytest.raises(TypeError, match=rf"\['a'\] is .*({said})"):
        CODEC.encode({"a": value})


# --- Arrow --------------------------------------------------------------------------------------

TABLE = pa.table(
    {
        "n": pa.array([1, None, 3], pa.int32()),
        "t": ["x", None, "z"],
        "d": pa.array(["a", "b", "a"]).dictionary_encode(),
        "l": [[1], None, [None, 2]],
        "s": [{"a": 1}, {"a": None}, None],
        "at": pa.array([1, None, 3], pa.timestamp("us", "UTC")),
        "m": pa.array([None, None, None], pa.decimal128(10, 2)),
        "b": [True, None, False],
        "z": pa.nulls(3),
    }
)


@pytest.mark.parametrize("rows", [3, 1, 0])
def test_a_table_comes_back_equal_with_its_schema(rows):
    table = TABLE.slice(0, rows).replace_schema_metadata({"unit": "minutes"})
    again = kept(table)
    assert again.equals(table)
    assert again.schema.equals(table.schema, check_metadata=True)


@pytest.mark.parametrize("rows", [3, 0])
def test_a_record_batch_and_a_schema_come_back_equal(rows):
    batch = pa.RecordBatch.from_pydict({"a": list(range(rows))}, pa.schema({"a": pa.int8()}))
    assert kept(batch).equals(batch)
    assert type(kept(batch)) is pa.RecordBatch
    assert kept(TABLE.schema).equals(TABLE.schema)


def test_a_large_table_is_a_blob():
    table = pa.table({"a": np.arange(INLINE)})
    assert len(CODEC.encode(table).blobs) == 1
    assert kept(table).equals(table)


def test_how_a_table_is_cut_into_chunks_does_not_count():
    whole = pa.table({"a": [1, None, 3, 4], "t": ["x", "y", None, "z"]})
    chunked = pa.concat_tables([whole.slice(0, 1), whole.slice(1, 2), whole.slice(3)])
    assert digest(chunked) == digest(whole)


def test_a_slice_counts_as_the_table_of_its_rows_and_holds_no_other():
    long = pa.table({"a": [7, None, 3], "t": ["secret", None, "z"]})
    alone = pa.table({"a": pa.array([None, 3], pa.int64()), "t": [None, "z"]})
    encoded = CODEC.encode(long.slice(1))
    assert encoded == CODEC.encode(alone)
    assert b"secret" not in _data(encoded.manifest)


def test_a_slice_of_bits_holds_none_of_the_rows_after_it():
    long = pa.table({"b": [False] * 8 + [True] * 8})
    assert digest(long.slice(8, 3)) == digest(pa.table({"b": [True] * 3}))


def _data(manifest: bytes) -> bytes:
    import base64

    return base64.b64decode(json.loads(manifest)["v"])


def _array(kind: pa.DataType, *buffers: bytes) -> pa.Array:
    return pa.Array.from_buffers(kind, 3, [pa.py_buffer(buffer) for buffer in buffers])


def test_what_lies_under_a_null_does_not_count():
    valid = b"\x05"
    numbers = _array(pa.int64(), valid, np.array([1, 99, 3]).tobytes())
    texts = _array(pa.string(), valid, np.array([0, 1, 4, 5], np.int32).tobytes(), b"xggsz")
    garbage = pa.table({"n": numbers, "t": texts, "b": _array(pa.bool_(), b"\xfd", b"\xff")})
    clean = pa.table({"n": [1, None, 3], "t": ["x", None, "z"], "b": [True, None, True]})
    assert garbage.equals(clean)
    assert digest(garbage) == digest(clean)


@pytest.mark.parametrize(
    "other",
    [
        TABLE.slice(0, 2),
        TABLE.rename_columns([*"nt", "D", *"ls", "at", *"mbz"]),
        TABLE.replace_schema_metadata({"unit": "hours"}),
        TABLE.set_column(0, "n", pa.array([1, 2, 3], pa.int32())),
        TABLE.set_column(0, "n", pa.array([1, None, 3], pa.int64())),
        TABLE.to_batches()[0],
    ],
    ids=["rows", "names", "metadata", "content", "type", "kind"],
)
def test_rows_names_types_and_content_of_a_table_count(other):
    assert digest(other) != digest(TABLE)


# --- pandas -------------------------------------------------------------------------------------


def test_a_frame_comes_back_with_its_index():
    frame = pd.DataFrame(
        {"a": [1.5, None], "t": ["x", None]}, index=pd.Index([3, 5], name="flight")
    )
    pd.testing.assert_frame_equal(kept(frame), frame)


def test_the_versions_of_pandas_and_arrow_do_not_count():
    frame = pd.DataFrame({"a": [1, 2]})
    said = _data(CODEC.encode(frame).manifest)
    assert b"pandas_version" not in said
    assert b"creator" not in said


# --- torch --------------------------------------------------------------------------------------

TENSORS = {
    "matrix": torch.arange(6).reshape(2, 3),
    "transposed": torch.ones(2, 3).T,
    "brain float": torch.tensor([1.5, float("nan")], dtype=torch.bfloat16),
    "float8": torch.tensor([0.5, 2.0]).to(torch.float8_e4m3fn),
    "no dimension": torch.tensor(1.5),
    "empty": torch.zeros(0, 2),
    "bool": torch.tensor([True, False]),
    "conjugate": torch.tensor([1 + 2j]).conj(),
    "with gradient": torch.ones(2, requires_grad=True),
    "large": torch.arange(INLINE),
}


@pytest.mark.parametrize("tensor", TENSORS.values(), ids=TENSORS)
def test_a_tensor_comes_back_bit_for_bit(tensor):
    again = kept(tensor)
    assert (again.dtype, again.shape) == (tensor.dtype, tensor.shape)
    assert _bits(again) == _bits(tensor)


def _bits(tensor: torch.Tensor) -> list[int]:
    flat = tensor.detach().resolve_conj().contiguous().reshape(-1)
    return flat.view(torch.uint8).tolist() if tensor.numel() else []


def test_the_state_of_a_module_comes_back_as_a_module_takes_it():
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    state = kept(module.state_dict())
    assert list(state) == list(module.state_dict())
    torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).load_state_dict(state)


def test_a_tensor_is_not_the_array_of_its_numbers():
    assert digest(torch.zeros(3)) != digest(np.zeros(3, np.float32))


@given(st.lists(st.floats(width=32), max_size=8))
@settings(max_examples=30, deadline=None, database=None)
def test_equal_tensors_have_equal_digests(numbers):
    assert digest(torch.tensor(numbers)) == digest(torch.tensor(numbers).clone())
