"""What the label is, by schema, rows and task."""

import pyarrow as pa
import pytest

from raypipe.errors import UsageError
from raypipe.values.label import fit_label, label_text
from raypipe.values.profile import profile_table
from raypipe.values.schema import Column, Schema
from raypipe.values.signature import Label


def label_of(values, task, **column):
    """Fit the label `y` to values."""
    table = pa.table({"y": values})
    kind = str(table["y"].type)
    schema = Schema(name="s", columns=(Column(name="y", type=kind, **column),))
    return fit_label(profile_table(table), schema, "y", task)


def test_classes_are_in_order():
    assert label_of([10, 9, 2], "multiclass").classes == ("2", "9", "10")
    assert label_of(["b", "a", "b"], "binary").classes == ("a", "b")
    assert label_of([True], "binary").classes == ("false", "true")
    assert label_of([1.5, 2.5], "regression").classes == ()


def test_classes_that_the_schema_lists_are_the_classes():
    """So that a class which no row of the train split has is known all the same."""
    found = label_of(["a", "b"], "multiclass", categories=("a", "b", "c"))
    assert found.classes == ("a", "b", "c")
    assert found.outputs == 3


@pytest.mark.parametrize(
    ("values", "task", "said"),
    [
        (["a", "b", "c"], "binary", r"has 3 classes \(a, b, c\)"),
        ([1, 1], "binary", r"has 1 classes \(1\)"),
        (["a", "b"], "regression", "regression, but the label 'y' is string"),
        (list(range(2000)), "multiclass", "more than 1,000 distinct values"),
        (pa.nulls(2, pa.int64()), "binary", "no value in the train split"),
    ],
)
def test_a_label_that_does_not_fit_the_task_is_refused(values, task, said):
    with pytest.raises(UsageError, match=said):
        label_of(values, task)


def label(*classes: str) -> Label:
    return Label(name="late", task="multiclass", classes=classes)


@pytest.mark.parametrize("value", [True, "true", "True", 1, 1.0, "1"], ids=repr)
def test_a_told_class_is_known_however_it_is_written(value):
    assert label_text(value, label("false", "true")) == "true"


def test_classes_that_are_numbers_are_known_by_them():
    known = label("1", "2")
    assert {label_text(value, known) for value in (2, 2.0, "2")} == {"2"}
    assert label_text(True, label("0", "1")) == "1"
    assert label_text(3, known) is None
    assert label_text(None, known) is None
    assert label_text([1], known) is None


def test_a_told_number_is_one_number_however_it_is_written():
    price = Label(name="price", task="regression")
    assert {label_text(value, price) for value in (2, 2.0, "2", "2.0")} == {"2"}
    assert label_text(0.1, price) == "0.1"
    assert label_text("dear", price) is None
    assert label_text(float("nan"), price) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["b", "a", "b"], '["a", "b"]'),
        ([], "[]"),
        ('["b"]', '["b"]'),
        (["a", "z"], None),
        ("a", None),
        ([["a"]], None),
        (None, None),
    ],
)
def test_several_labels_at_once_are_told_as_a_list_of_classes(value, text):
    several = Label(name="tags", task="multilabel", classes=("a", "b"))
    assert label_text(value, several) == text


def test_classes_of_lists_are_those_that_they_hold():
    assert label_of([["b", "a"], [], ["b"]], "multilabel").classes == ("a", "b")
    with pytest.raises(UsageError, match="more than 1,000 classes"):
        label_of([[f"c{i}"] for i in range(2000)], "multilabel")
