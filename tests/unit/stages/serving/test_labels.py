"""Labels that are told are checked against the model's classes; one that is wrong keeps none."""

import pytest

from raypipe.errors import UsageError
from raypipe.stages.serving.labels import read
from raypipe.values.signature import Label

LATE = Label(name="late", task="binary", classes=("false", "true"))


def told(body, label=LATE):
    return read(body, "flights", label, lambda: "id", 1.0)


def test_one_and_several_are_read():
    one = {"request": "r", "label": True}
    record = {"kind": "label", "id": "id", "time": 1.0, "model": "flights", "source": "gateway"}
    expected = {**record, "request": "r", "row": 0, "label": True}
    assert told(one) == told([one]) == told({"labels": [one]}) == [expected]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "send"),
        ("x", "send"),
        ([1], "label 0 is a number"),
        ([{"label": True}], 'names no "request"'),
        ([{"request": "r"}], 'has no "label"'),
        ([{"request": "r", "label": None}], 'has no "label"'),
        ([{"request": "r", "label": "perhaps"}], "no class of late: false, true"),
        ([{"request": "r", "label": True, "row": -1}], "row -1; rows count from 0"),
        ([{"request": "r", "label": True, "row": 2**64 - 1}], "to 2147483647 at most"),
        ([{"request": "r", "label": True, "when": 1}], "'when'"),
        ([{"request": "r", "label": True}] * 10_001, "the most at once"),
    ],
)
def test_a_wrong_one_is_told(body, words):
    with pytest.raises(UsageError) as refused:
        told(body)
    assert words in str(refused.value)


def test_a_number_is_asked_for_where_numbers_are_predicted():
    price = Label(name="price", task="regression")
    assert told({"request": "r", "label": 2.5}, price)[0]["label"] == 2.5
    with pytest.raises(UsageError, match="price is a number"):
        told({"request": "r", "label": "dear"}, price)


def test_a_list_is_asked_for_where_several_labels_are_predicted():
    tags = Label(name="tags", task="multilabel", classes=("a", "b"))
    assert told({"request": "r", "label": ["b"]}, tags)[0]["label"] == ["b"]
    with pytest.raises(UsageError, match="tags is a list of classes, of: a, b"):
        told({"request": "r", "label": "b"}, tags)
    with pytest.raises(UsageError, match='has no "label"'):
        told({"request": "r", "label": ["true"]})
