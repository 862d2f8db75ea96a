"""Tensor files become tensors as the signature says, or a sentence says which column is wrong."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from raypipe.errors import StepFailed
from raypipe.model.share import read_share, share_of
from raypipe.values.dataset import TensorFile


def lists(values, width):
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(values)), width)


def table(rows, start=0):
    number = np.arange(start, start + rows)
    dense = np.repeat(number[:, None], 3, axis=1).astype(np.float32)
    indices = np.repeat(number[:, None] % 5, 2, axis=1)
    return pa.table(
        {
            "late": pa.array(number % 2, pa.float32()),
            "dense": lists(dense, 3),
            "indices": lists(indices, 2),
            "day": pa.array(["monday"] * rows),
        }
    )


def test_reads_the_files_in_the_order_given_and_leaves_other_columns_alone(signature, tmp_path):
    files = []
    for name, start in (("b", 0), ("a", 4)):
        path = tmp_path / f"{name}.parquet"
        pq.write_table(table(4, start), path)
        files.append(TensorFile(file=path, rows=4))

    share = read_share(files, signature)

    assert share.tensors["dense"][:, 0].tolist() == list(range(8))
    assert share.tensors["indices"].dtype == torch.int64
    assert share.label.tolist() == [0, 1] * 4
    assert set(share.tensors) == {"dense", "indices"}


def test_slices_of_tables_are_read_as_what_they_show(signature):
    share = share_of([table(10).slice(3, 4)], signature)

    assert share.tensors["dense"][:, 2].tolist() == [3, 4, 5, 6]
    assert share.label.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("tables", [[], [table(0)]])
def test_no_rows_are_a_share_of_no_rows(signature, tables):
    share = share_of(tables, signature)

    assert share.rows == 0
    assert share.tensors["dense"].shape == (0, 3)


def test_weights_are_read_where_the_signature_names_them(signature):
    from dataclasses import replace

    rows = table(3).append_column("counts", pa.array([0.5, 2.0, 0.5], pa.float32()))
    assert share_of([rows], signature).weight is None
    share = share_of([rows], replace(signature, weight="counts"))
    assert share.weight.tolist() == share.to(torch.device("cpu")).weight.tolist() == [0.5, 2, 0.5]


def test_labels_of_classes_are_integers(signature):
    from dataclasses import replace

    from raypipe.values.signature import Label

    signature = replace(signature, label=Label(name="late", task="multiclass", classes=("a", "b")))

    assert share_of([table(3)], signature).label.dtype == torch.int64


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("late", pa.array([1.0, None]), r"'late'.* 1 nulls"),
        ("dense", lists(np.zeros(4, np.float32), 2), r"'dense'.*float32 of shape \[3\]"),
        ("dense", pa.array([1.0, 2.0]), r"'dense' .* is double; .* shape \[3\]"),
        ("indices", None, r"no column 'indices'; they have 'late', 'dense', 'day'"),
    ],
)
def test_a_column_that_is_not_as_the_signature_says_is_named(signature, column, value, said):
    rows = table(2)
    at = rows.column_names.index(column)
    broken = rows.remove_column(at) if value is None else rows.set_column(at, column, value)

    with pytest.raises(StepFailed, match=said):
        share_of([broken], signature)


def test_a_torn_file_is_named(signature, tmp_path):
    path = tmp_path / "train.parquet"
    pq.write_table(table(4), path)
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(StepFailed, match=r"train\.parquet") as stopped:
        read_share([TensorFile(file=path, rows=4)], signature)

    assert "doctor --verify" in stopped.value.hint


def test_names_the_columns_whose_values_are_not_finite(make_share):
    share = make_share(5)
    share.tensors["dense"][1:3, 0] = float("nan")
    share.tensors["dense"][4, 2] = float("inf")
    share.label[0] = float("nan")

    assert share.not_finite() == [
        "dense[temp] (2 rows)",
        "dense[hour] (1 row)",
        "the label (1 row)",
    ]
