"""What only a search over all rows finds."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from raypipe.config.data import ColumnSplit, DataConfig, GroupSplit, HashSplit
from raypipe.config.validation import DuplicatesConfig
from raypipe.stages.validation.search import Rows, search
from raypipe.values.profile import profile_table
from raypipe.values.traces import trace_table

ROWS = 400
DRAW = np.random.default_rng(0)
NAMES = np.array(["train", "validation", "analysis"])


def data(**more):
    given = {"dataset": "local://r/main", "label": "late", "key": ("id",)}
    return DataConfig(**{**given, "split": ColumnSplit(column="split"), **more})


def rows(**change):
    columns = {
        "id": np.arange(ROWS),
        "x": DRAW.normal(size=ROWS),
        "y": DRAW.normal(size=ROWS),
        "late": DRAW.random(ROWS) < 0.4,
        "split": NAMES[np.repeat([0, 1, 2], [240, 80, 80])],
        **change,
    }
    return {name: values for name, values in columns.items() if values is not None}


def found(*tables, meaning=None, settings=None):
    meaning, settings = meaning or data(), settings or DuplicatesConfig()
    made = [pa.table(table) for table in tables]
    traces = [trace_table(one, meaning, rows=settings.whole_rows) for one in made]
    every = Rows(paths=[f"s{n}.parquet" for n in range(len(made))], traces=traces)

    def read(shard, column, row):
        return made[shard][column][row].as_py()

    return search(
        every, profile_table(pa.concat_tables(made), meaning.key), meaning, settings, read
    )


def kinds(*tables, **more):
    return [one.kind for one in found(*tables, **more)]


def again(table, places, **change):
    """Return rows of a table once more, with other keys."""
    copied = {name: np.asarray(values)[places] for name, values in table.items()}
    return {**copied, "id": np.arange(len(places)) + 10_000, **change}


def test_rows_that_are_not_alike_raise_no_word():
    assert kinds(rows()) == []


def test_rows_written_twice_are_found_across_shards_and_named_by_their_places():
    table = rows()
    (one,) = found(table, again(table, np.arange(60)))
    assert one.kind == "duplicate_rows"
    assert one.share == pytest.approx(60 / 460)
    assert any(f"s0.parquet row {n} = s1.parquet row {n}" in one.examples for n in range(1, 61))
    assert one.allow == "validation.duplicates.rows: 0.14"


def test_train_rows_in_the_analysis_split_are_found():
    table = rows()
    copies = again(table, np.arange(15), split=np.repeat("analysis", 15))
    assert kinds(table, copies) == ["duplicates_across"]
    (one,) = found(table, copies)
    assert one.said.startswith("16 % of the analysis split are rows of the train split once more")


def test_rows_of_few_values_are_equal_by_nature():
    few = {name: DRAW.integers(0, 3, ROWS) for name in ("x", "y")}
    assert kinds(rows(**few)) == []


def test_one_row_with_two_labels_is_a_contradiction():
    table = rows()
    other = again(table, np.arange(40))
    other["late"] = ~other["late"]
    (one,) = found(table, other)
    assert (one.kind, one.column) == ("conflicting_labels", "late")
    assert one.share == pytest.approx(80 / 440)


def test_a_label_of_numbers_does_not_contradict():
    table = rows(late=DRAW.normal(size=ROWS))
    other = again(table, np.arange(40), late=DRAW.normal(size=40))
    assert kinds(table, other) == []


def test_a_group_in_two_splits_leaks():
    table = rows(who=np.arange(ROWS) % 100)
    by_row = data(groups=("who",), split=HashSplit(columns=("id",)))
    (one,) = found(table, meaning=by_row)
    assert (one.kind, one.column, one.share) == ("group_leakage", "who", pytest.approx(1, abs=0.1))
    by_group = data(groups=("who",), split=GroupSplit(columns=("who",)))
    assert kinds(table, meaning=by_group) == []


def test_rows_on_the_wrong_side_of_the_moment_that_parts_the_splits_leak():
    at = [datetime(2024, 1, 1) + timedelta(hours=n) for n in range(ROWS)]
    timed = data(time="at")
    assert kinds(rows(at=at), meaning=timed) == []
    late = [*at[:5], *at[-5:], *at[10:]]
    (one,) = found(rows(at=late), meaning=timed)
    assert (one.kind, one.column) == ("time_leakage", "at")
    assert one.share == pytest.approx(5 / ROWS)
    drawn = [at[n] for n in DRAW.permutation(ROWS)]
    assert kinds(rows(at=drawn), meaning=timed) == []


def test_texts_that_are_nearly_those_of_other_rows_are_shown():
    words = np.array([f"word{n}" for n in range(3_000)])
    said = [" ".join(words[DRAW.integers(0, 3_000, 12)]) for _ in range(ROWS)]
    table = rows(said=said)
    assert kinds(table) == []
    changed = [f"{text} more" for text in said[:60]]
    one = next(o for o in found(table, again(rows(said=said), np.arange(60), said=changed)))
    assert (one.kind, one.column) == ("near_duplicates", "said")
    assert len(one.examples[0]) <= 30


def test_near_rows_are_sought_where_the_settings_say_so():
    wide = {f"x{n}": DRAW.normal(size=ROWS) for n in range(10)}
    table = rows(**wide)
    other = again(table, np.arange(60), x3=DRAW.normal(size=60))
    assert kinds(table, other) == []
    assert kinds(table, other, settings=DuplicatesConfig(whole_rows=True)) == ["near_duplicates"]
