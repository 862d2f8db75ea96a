"""What is asked of runs is read as it is written, and what is no question is refused."""

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raypipe.app.where import read_where
from raypipe.errors import UsageError

RUN = {
    "auc": 0.8,
    "loss": math.nan,
    "pipeline": "flights",
    "training.epochs": 5,
    "preprocessing.groups.0.kind": "numeric",
    "tags": ["good", "v2"],
    "deterministic": True,
    "rate": None,
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("auc > 0.7 and pipeline == 'flights'", True),
        ("0.7 < auc <= 0.8", True),
        ("auc > 0.7 and not 'good' in tags", False),
        ("'v2' in tags or nothing > 1", True),
        ("training.epochs in [3, 5]", True),
        ("training.epochs not in (3, 5)", False),
        ("preprocessing.groups[0].kind == 'numeric'", True),
        ("nothing > 1", False),
        ("nothing <= 1", False),
        ("nothing != 1", False),
        ("nothing is None", True),
        ("rate is none", True),
        ("auc is not None", True),
        ("deterministic == true", True),
        ("deterministic", True),
        ("nothing", False),
        ("loss > 0 or loss <= 0", False),
        ("pipeline > 3", False),
        ("3 in auc", False),
        ("auc > -1", True),
    ],
)
def test_an_expression_holds_of_a_run_or_does_not(text, holds):
    assert read_where(text).holds(RUN.__getitem__) is holds


@pytest.mark.parametrize(
    "text",
    [
        "", "auc >", "auc = 1", "f(auc)", "auc + 1 > 2", "[x for x in tags]", "lambda: 1",
        "auc > (1 if True else 2)", "f'{auc}' == '1'", "auc.real() > 1", "tags[0:1] == []",
        "(auc := 1)", "auc is 0.8", "auc in [loss]", "'a' 'b", "auc > b'1'", "auc\0",
        "1 < 2 ** 99999", "not " * 200 + "auc)", "(" * 900 + "auc" + ")" * 99, "x" * 1001,
        "auc > 1j", "..." , "*auc", "await auc", "yield",
    ],
)  # fmt: skip
def test_what_is_no_question_is_refused(text):
    with pytest.raises(UsageError) as refused:
        read_where(text)
    assert refused.value.hint


@given(st.text(max_size=60))
def test_any_text_is_a_question_or_is_refused(text):
    with suppress(UsageError):
        read_where(text).holds(RUN.__getitem__)


@given(
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.sampled_from(["<", "<=", ">", ">=", "=="]),
    st.booleans(),
)
def test_what_holds_lies_within_the_bounds(value, limit, how, mirrored):
    text = f"{limit!r} {how} auc" if mirrored else f"auc {how} {limit!r}"
    where = read_where(f"{text} and pipeline == 'flights'")
    if where.holds({"auc": value, "pipeline": "flights"}.__getitem__):
        low, high = where.bounds()["auc"]
        assert low <= value <= high
    assert where.equal()["pipeline"] == "flights"


def test_what_may_be_otherwise_bounds_nothing():
    where = read_where("auc > 0.7 or loss < 1")
    assert where.bounds() == {}
    assert where.names == ("auc", "loss")
