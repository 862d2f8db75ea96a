"""Files become shards on a branch of their own; main sees them when they are published."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.config.importing import ImportConfig
from raypipe.engine.records import Actor
from raypipe.errors import NotFound, UsageError, ValidationStopped
from raypipe.stages.data.importing import ImportedShards, import_files, publish
from raypipe.stages.data.inputs import find_inputs
from raypipe.store.versions_local import LocalVersions
from raypipe.values.uri import parse_uri

ANN = Actor(user="ann", host="desk")
URI = parse_uri("local://repo/main/raw")
NOW = datetime(2013, 7, 1, 9, 30, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> LocalVersions:
    return LocalVersions(tmp_path / "repo")


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    folder = tmp_path / "inputs"
    folder.mkdir()
    for month in (1, 2):
        table = pa.table({"month": [month] * 3, "at": ["EWR", "JFK", None]})
        pq.write_table(table, folder / f"2013-0{month}.parquet")
    return folder


def taken(store: LocalVersions, *paths: Path, **settings: object) -> ImportedShards:
    return import_files(paths, URI, store, ANN, now=NOW, settings=ImportConfig(**settings))


def read(store: LocalVersions, ref: str) -> dict[str, pa.Table]:
    return {f.path: pq.read_table(store.location(f)) for f in store.list(ref)}


def test_each_file_becomes_a_shard_on_a_fresh_branch(store, inputs):
    imported = taken(store, inputs)

    assert imported.branch.startswith("import-20130701-093000-")
    assert imported.shards == ("raw/part-2013-01.parquet", "raw/part-2013-02.parquet")
    assert (imported.rows, imported.unchanged, imported.differences) == (6, False, ())
    assert store.resolve(imported.branch) == imported.commit
    assert read(store, "main") == {}
    assert read(store, imported.branch)["raw/part-2013-02.parquet"]["month"].to_pylist() == [2] * 3


def test_publishing_merges_the_branch_and_forgets_it(store, inputs):
    imported = taken(store, inputs)
    head = publish(imported, URI, store, ANN)

    assert store.resolve("main") == head
    assert set(store.branches()) == {"main"}
    assert set(read(store, "main")) == set(imported.shards)


def test_the_same_files_again_make_no_commit(store, inputs):
    publish(taken(store, inputs), URI, store, ANN)
    head = store.resolve("main")
    again = taken(store, inputs)

    assert (again.unchanged, again.branch, again.commit) == (True, "main", head)
    assert publish(again, URI, store, ANN) == head
    assert set(store.branches()) == {"main"}


def test_a_file_of_the_same_name_replaces_its_shard(store, inputs):
    publish(taken(store, inputs), URI, store, ANN)
    pq.write_table(pa.table({"month": [9], "at": ["LGA"]}), inputs / "2013-01.parquet")
    publish(taken(store, inputs / "2013-01.parquet"), URI, store, ANN)

    held = read(store, "main")
    assert held["raw/part-2013-01.parquet"]["month"].to_pylist() == [9]
    assert held["raw/part-2013-02.parquet"]["month"].to_pylist() == [2] * 3


def test_a_shard_does_not_depend_on_how_its_input_was_written(store, tmp_path, inputs):
    table = pq.read_table(inputs / "2013-01.parquet")
    other = table.set_column(1, "at", table["at"].dictionary_encode()).select(["month", "at"])
    publish(taken(store, inputs), URI, store, ANN)
    pq.write_table(other, inputs / "2013-01.parquet", compression="none", row_group_size=1)

    assert taken(store, inputs / "2013-01.parquet").unchanged


def test_columns_are_put_in_the_order_that_is_there_already(store, inputs):
    publish(taken(store, inputs), URI, store, ANN)
    table = pq.read_table(inputs / "2013-01.parquet").select(["at", "month"])
    pq.write_table(table, inputs / "2013-01.parquet")

    assert taken(store, inputs / "2013-01.parquet").unchanged


def test_csv_is_read_with_the_types_that_are_there_already(store, inputs, tmp_path):
    publish(taken(store, inputs), URI, store, ANN)
    (tmp_path / "2013-03.csv").write_text("month,at\n3,\n3,\n")
    imported = taken(store, tmp_path / "2013-03.csv")

    assert imported.differences == ()
    shard = read(store, imported.branch)["raw/part-2013-03.parquet"]
    assert shard.to_pydict() == {"month": [3, 3], "at": [None, None]}
    assert shard.schema.types == [pa.int64(), pa.string()]


def test_a_file_is_divided_by_a_column(store, tmp_path):
    (tmp_path / "year.csv").write_text("month,at\n1,EWR\n2,JFK\n1,LGA\n,JFK\n")
    imported = taken(store, tmp_path / "year.csv", partition="month")

    assert {p: t.num_rows for p, t in read(store, imported.branch).items()} == {
        "raw/month=1/part-year.parquet": 2,
        "raw/month=2/part-year.parquet": 1,
        "raw/month=null/part-year.parquet": 1,
    }


def test_values_that_no_path_can_hold_stay_apart(store, tmp_path):
    pq.write_table(pa.table({"c": ["a/b", "a b", "../x"]}), tmp_path / "in.parquet")
    imported = taken(store, tmp_path / "in.parquet", partition="c")

    assert len(set(imported.shards)) == 3
    assert all(re.fullmatch(r"raw/c=[\w.-]+/part-in\.parquet", path) for path in imported.shards)


def test_an_unknown_column_to_divide_by_is_named(store, inputs):
    with pytest.raises(UsageError, match=r"no column 'mont'.*'month'"):
        taken(store, inputs, partition="mont")


def test_other_columns_than_on_main_are_named_and_not_published_unasked(store, inputs):
    publish(taken(store, inputs), URI, store, ANN)
    head = store.resolve("main")
    pq.write_table(pa.table({"month": [3.0], "to": ["x"]}), inputs / "2013-03.parquet")
    imported = taken(store, inputs / "2013-03.parquet")

    assert imported.differences == (
        "column 'at' is missing",
        "column 'to' is new",
        "column 'month' is double, not int64",
    )
    with pytest.raises(ValidationStopped, match=r"'at' is missing"):
        publish(imported, URI, store, ANN)
    assert store.resolve("main") == head
    assert imported.branch in store.branches()

    publish(imported, URI, store, ANN, accepted=True)
    assert len(read(store, "main")) == 3


def test_files_must_agree_among_themselves(store, inputs):
    pq.write_table(pa.table({"month": [3]}), inputs / "2013-03.parquet")

    with pytest.raises(UsageError, match=r"2013-03\.parquet .* of the other files: column 'at'"):
        taken(store, inputs)
    assert set(store.branches()) == {"main"}


def test_a_column_that_has_no_value_yet_has_the_type_that_its_file_says(store, inputs):
    """Else the first value that comes would be of another type than what is there."""
    for month in (1, 2):
        late = {"month": [month], "late": pa.array([None], pa.float64())}
        pq.write_table(pa.table(late), inputs / f"2013-0{month}.parquet")
    publish(taken(store, inputs), URI, store, ANN)
    schemas = {str(table.schema.field("late").type) for table in read(store, "main").values()}
    assert schemas == {"double"}


def truncated(path: Path) -> None:
    pq.write_table(pa.table({"month": list(range(5000))}), path)
    path.write_bytes(path.read_bytes()[:-100])


def damaged(path: Path) -> None:
    """The footer is whole, the pages are not."""
    pq.write_table(pa.table({"month": list(range(5000))}), path)
    whole = bytearray(path.read_bytes())
    whole[4:4000] = bytes(3996)
    path.write_bytes(whole)


def without_rows(path: Path) -> None:
    pq.write_table(pa.table({"month": pa.array([], pa.int64())}), path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"PAR1"), "cannot be read"),
        (truncated, "cannot be read"),
        (damaged, "cannot be read"),
        (without_rows, "has no rows"),
    ],
)
def test_an_empty_or_damaged_file_is_named_and_nothing_is_written(store, inputs, spoil, said):
    bad = inputs / "bad.parquet"
    spoil(bad)

    with pytest.raises(UsageError, match=rf"bad\.parquet {said}") as refused:
        taken(store, inputs)
    assert refused.value.hint
    assert set(store.branches()) == {"main"}
    assert read(store, "main") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("a,b\n", "has no rows"),
        ("a,b\n1,2\n3\n", r"\.csv:3: 1 values"),
        ("a,a\n1,2\n", "several columns"),
    ],
)
def test_a_faulty_csv_is_named(store, tmp_path, text, said):
    (tmp_path / "bad.csv").write_text(text)

    with pytest.raises(UsageError, match=rf"bad\.csv {said}|bad{said}|bad\.csv has 'a'"):
        taken(store, tmp_path / "bad.csv")


def test_a_file_that_is_not_there_is_compared_with_those_that_are(inputs):
    with pytest.raises(NotFound, match=r"did you mean '2013-0.\.parquet'"):
        find_inputs([inputs / "2013-0.parquet"], ImportConfig())


def test_other_kinds_of_files_are_refused(tmp_path):
    (tmp_path / "x.doc").write_text("{}")
    with pytest.raises(UsageError, match="neither Parquet nor CSV"):
        find_inputs([tmp_path / "x.doc"], ImportConfig())
    with pytest.raises(UsageError, match="holds no Parquet, CSV"):
        find_inputs([tmp_path], ImportConfig())


def test_two_files_of_one_name_are_refused(inputs, tmp_path):
    (tmp_path / "2013-01.csv").write_text("month,at\n1,x\n")
    with pytest.raises(UsageError, match="2 files are named 2013-01"):
        find_inputs([inputs, tmp_path / "2013-01.csv"], ImportConfig())


def test_an_import_goes_to_a_branch(store, inputs):
    store.tag("v1", "main")
    for ref, error, said in (("v1", UsageError, "is a tag"), ("mian", NotFound, "'main'")):
        with pytest.raises(error, match=said):
            import_files([inputs], parse_uri(f"local://repo/{ref}"), store, ANN)
