"""A set of edge cases grows by rows that are new, and what is wrong with a file of one is told."""

from pathlib import Path

import pyarrow as pa
import pytest

from raypipe.app.edge_cases import list_edge_cases, show_edge_cases
from raypipe.app.edge_reading import MOST, together
from raypipe.errors import NotFound, StoreError, UsageError


def rows(**columns: list[object]) -> pa.Table:
    return pa.table(columns)


def test_rows_that_are_in_a_set_already_are_not_added_again():
    before = rows(x=[1, 1, None], note=["a", "a", ""])
    both = together(before, rows(x=[1, 2, 2, None], note=["a", "", "", ""]), "night")
    assert both["x"].to_pylist() == [1, 1, None, 2]


def test_rows_of_lists_and_bytes_are_told_apart():
    before = rows(tags=[["a"], []], image=[b"1", b"2"])
    both = together(before, rows(tags=[["a"], ["b"]], image=[b"1", b"2"]), "night")
    assert both["tags"].to_pylist() == [["a"], [], ["b"]]


def test_columns_of_other_types_and_too_many_rows_are_told():
    with pytest.raises(UsageError, match="do not fit those of the edge cases 'night'"):
        together(rows(x=[1]), rows(x=["one"]), "night")
    with pytest.raises(UsageError, match=f"has {MOST + 1:,} rows"):
        together(rows(x=[0]), rows(x=list(range(1, MOST + 1))), "night")


def test_a_damaged_file_is_told_and_what_a_killed_writer_left_is_no_set(tmp_path: Path):
    home = tmp_path / ".raypipe"
    (home / "edge_cases" / "tiny").mkdir(parents=True)
    (home / "edge_cases" / "tiny" / ".night.parquet-0123456789ab").touch()
    assert list_edge_cases(home) == []
    with pytest.raises(NotFound, match="no edge cases 'night'"):
        show_edge_cases("night", home=home)
    (home / "edge_cases" / "tiny" / "night.parquet").write_bytes(b"torn")
    with pytest.raises(StoreError, match=r"night.parquet cannot be read"):
        list_edge_cases(home)


def test_of_two_pipelines_with_a_set_of_a_name_one_must_be_said(tmp_path: Path):
    for pipeline in ("flights", "tiny"):
        file = tmp_path / "edge_cases" / pipeline / "night.parquet"
        file.parent.mkdir(parents=True)
        file.touch()
    with pytest.raises(
        UsageError, match="several pipelines have edge cases 'night': flights, tiny"
    ):
        show_edge_cases("night", home=tmp_path)
