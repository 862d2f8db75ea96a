"""A sample is the same however rows are cut, and has none of the analysis split."""

import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.config.data import ColumnSplit, HashSplit
from raypipe.stages.validation.deepchecks.sampling import HASH, merge_samples, sample_file

RULE = HashSplit(columns=("id",))


def table(first, last):
    ids = list(range(first, last))
    return pa.table({"id": ids, "text": [f"row {n}" for n in ids]})


def drawn(tmp_path, name, rows, rule=RULE, most=50):
    pq.write_table(rows, tmp_path / name)
    return sample_file(str(tmp_path / name), rule, ("id",), most)


def test_a_sample_is_the_same_however_rows_are_cut(tmp_path):
    whole = drawn(tmp_path, "whole", table(0, 3000))
    parts = [drawn(tmp_path, f"{n}", table(n, n + 1000)) for n in (2000, 0, 1000)]
    merged = merge_samples(parts, 50)
    assert merged.train.equals(whole.train)
    assert merged.validation.equals(whole.validation)
    assert whole.train.num_rows == 50


def test_a_sample_has_no_row_of_the_analysis_split(tmp_path):
    rows = table(0, 300).append_column("split", pa.array(["train", "validation", "analysis"] * 100))
    sample = drawn(tmp_path, "rows", rows, ColumnSplit(column="split"), most=1000)
    assert sample.train["split"].unique().to_pylist() == ["train"]
    assert sample.validation["split"].unique().to_pylist() == ["validation"]
    assert (sample.train.num_rows, sample.validation.num_rows) == (100, 100)


def test_without_a_rule_all_rows_are_drawn_from(tmp_path):
    sample = drawn(tmp_path, "rows", table(0, 200), None, most=1000)
    assert sample.train.num_rows == 200
    assert sample.validation.num_rows == 0


def test_a_file_without_rows_gives_a_sample_without_rows(tmp_path):
    sample = drawn(tmp_path, "rows", table(0, 0))
    assert sample.train.column_names == ["id", "text", HASH]
    assert sample.train.num_rows == 0
