"""One shard transformed."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from raypipe.errors import StoreError, UsageError
from raypipe.stages.preprocessing import shards as module
from raypipe.stages.preprocessing.fitting import fit_transform
from raypipe.stages.preprocessing.shards import Work, transform_shard


@pytest.fixture
def work(profiles, schema, recipe, rule, tmp_path):
    """How the shard is transformed."""
    transform = fit_transform(profiles.train, recipe.groups, schema, "late", "binary")
    folder = tmp_path / "out"
    folder.mkdir()
    return Work(transform=transform, rule=rule, folder=folder)


def read(file):
    """Read a tensor file."""
    return pq.read_table(file.file, partitioning=None)


def test_each_split_holds_its_rows_as_the_transform_makes_them(rows, work, write_shard):
    made = transform_shard(write_shard(rows), work)
    for split, file in (("train", made.train), ("validation", made.validation)):
        own = rows.filter(pc.equal(rows["split"], split))
        table, expected = read(file), work.transform.apply(own)
        assert table.column_names == ["dense", "indices", "late"]
        assert table["dense"].type == pa.list_(pa.float32(), 7)
        assert file.rows == table.num_rows == own.num_rows > 0
        for name, tensor in expected.items():
            flat = table[name].combine_chunks().flatten().to_numpy()
            assert flat.tobytes() == tensor.tobytes()
        assert table["late"].to_pylist() == [float(value) for value in own["late"].to_pylist()]


def test_what_a_row_counts_stands_beside_its_tensors(
    rows, schema, profiles, recipe, work, write_shard
):
    transform = fit_transform(
        profiles.train, recipe.groups, schema, "late", "binary", weight="miles"
    )
    made = transform_shard(write_shard(rows), replace(work, transform=transform))
    train = rows.filter(pc.equal(rows["split"], "train"))
    weights = read(made.train)["miles"]
    assert weights.type == pa.float32()
    assert weights.to_pylist() == transform.weights(train).tolist()
    assert np.mean(weights) == pytest.approx(1, abs=1e-6)


def test_no_row_of_the_analysis_split_is_written(rows, work, write_shard):
    made = transform_shard(write_shard(rows), work)
    sealed = pc.sum(pc.equal(rows["split"], "analysis")).as_py()
    assert sealed > 0
    assert made.train.rows + made.validation.rows == rows.num_rows - sealed
    assert len(list(work.folder.iterdir())) == 2


def test_it_makes_no_difference_in_how_many_pieces_a_shard_is_read(
    rows, work, write_shard, monkeypatch
):
    shard = write_shard(rows)
    whole = transform_shard(shard, work)
    monkeypatch.setattr(module, "_ROWS", 7)
    other = Work(transform=work.transform, rule=work.rule, folder=work.folder / "pieces")
    other.folder.mkdir()
    pieces = transform_shard(shard, other)
    assert read(whole.train).equals(read(pieces.train))
    assert read(whole.validation).equals(read(pieces.validation))


def test_the_same_rows_give_the_same_bytes(rows, work, write_shard):
    """Else an artifact of the same content would have another digest, and training would rerun."""
    shard = write_shard(rows)
    first = transform_shard(shard, work).train.file.read_bytes()
    other = Work(transform=work.transform, rule=work.rule, folder=work.folder / "again")
    other.folder.mkdir()
    assert transform_shard(shard, other).train.file.read_bytes() == first


def test_a_split_without_rows_is_an_empty_file(rows, work, write_shard):
    only = rows.filter(pc.equal(rows["split"], "train"))
    made = transform_shard(write_shard(only), work)
    assert (made.validation.rows, made.train.rows) == (0, only.num_rows)
    assert read(made.validation).schema == read(made.train).schema


def test_what_an_earlier_attempt_finished_is_not_done_again(rows, work, write_shard):
    shard = write_shard(rows)
    first = transform_shard(shard, work)
    stamp = first.train.file.stat().st_mtime_ns
    assert transform_shard(shard, work) == first
    assert first.train.file.stat().st_mtime_ns == stamp


def test_a_failed_attempt_leaves_nothing(rows, work, write_shard):
    late = pa.array([None, *rows["late"].to_pylist()[1:]], pa.bool_())
    broken = rows.set_column(5, "late", late).set_column(6, "split", pa.array(["train"] * 300))
    with pytest.raises(UsageError, match="label 'late' is null in 1 of 300 rows"):
        transform_shard(write_shard(broken), work)
    assert list(work.folder.iterdir()) == []


def test_only_the_columns_that_are_needed_are_read(rows, work, write_shard):
    """A column that no one reads may be of a type that nothing here can handle."""
    rest = pa.array([{"a": [1]}] * rows.num_rows)
    made = transform_shard(write_shard(rows.append_column("rest", rest)), work)
    assert made.train.rows > 0


def test_a_missing_column_is_named(rows, work, write_shard):
    with pytest.raises(UsageError, match="no column 'temp'"):
        transform_shard(write_shard(rows.drop_columns(["temp"])), work)


def test_a_shard_that_is_torn_is_named(rows, work, write_shard, tmp_path):
    shard = write_shard(rows)
    file = tmp_path / "a.parquet"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(StoreError, match=r"part-a\.parquet cannot be read"):
        transform_shard(shard, work)


def test_a_users_module_is_found_in_the_project(
    rows, work, schema, profiles, tmp_path, write_shard
):
    from raypipe.config.preprocessing import FunctionGroup

    project = tmp_path / "project"
    project.mkdir()
    (project / "only_in_the_project.py").write_text(
        "def f(rows): return rows['miles'].to_numpy()\n"
    )
    group = FunctionGroup(columns="miles", function="only_in_the_project:f")
    transform = fit_transform(profiles.train, [group], schema, "late", "binary")
    own = replace(work, transform=transform, paths=(str(project),))
    made = transform_shard(write_shard(rows), own)
    train = rows.filter(pc.equal(rows["split"], "train"))
    found = read(made.train)["dense"].combine_chunks().flatten().to_numpy()
    assert np.array_equal(found, train["miles"].to_numpy().astype(np.float32))
