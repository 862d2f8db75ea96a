"""The Open Inference Protocol's JSON is read as its specification has it, or refused in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raypipe.errors import UsageError
from raypipe.stages.serving import oip


def tensor(**changed):
    return {"name": "x", "shape": [2], "datatype": "FP64", "data": [1.0, 2.0], **changed}


def test_flat_and_nested_data_are_read_alike():
    flat = oip.read({"inputs": [tensor()]})
    nested = oip.read({"inputs": [tensor(shape=[2, 1], data=[[1.0], [2.0]])]})
    column = oip.read({"inputs": [tensor(shape=[2, 1])]})
    assert flat.columns == nested.columns == column.columns == {"x": [1.0, 2.0]}
    assert flat.rows == 2


def test_id_unit_and_outputs_are_read():
    asked = oip.read(
        {
            "id": "mine",
            "parameters": {"unit": "N123"},
            "inputs": [tensor()],
            "outputs": [{"name": "late_probability"}],
        }
    )
    assert (asked.id, asked.unit, asked.outputs) == ("mine", "N123", ("late_probability",))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "the request is a list"),
        ({}, '"inputs" must be a list'),
        ({"inputs": []}, '"inputs" must be a list'),
        ({"inputs": [1]}, "an input is a number"),
        ({"inputs": [tensor(name=None)]}, 'no "name"'),
        ({"inputs": [tensor(datatype="TEXT")]}, "datatype 'TEXT'; known are BOOL"),
        ({"inputs": [tensor(shape=[2, 2])]}, "a feature is [rows] or [rows, 1]"),
        ({"inputs": [tensor(shape=[True])]}, 'no "shape"'),
        ({"inputs": [tensor(shape=[3])]}, "2 values for shape [3]"),
        ({"inputs": [tensor(data=None)]}, 'no list of "data"'),
        ({"inputs": [tensor(), tensor()]}, "'x' is given twice"),
        ({"inputs": [tensor(), tensor(name="y", shape=[1], data=[1])]}, "'y' has 1 rows"),
        ({"inputs": [tensor(shape=[0], data=[])]}, "no rows"),
        ({"inputs": [tensor(parameters={"binary_data_size": 8})]}, "binary"),
        ({"inputs": [tensor()], "outputs": [{"name": 1}]}, '"outputs" must be'),
        ({"inputs": [tensor()], "id": 5}, "'id' is 5"),
        ({"inputs": [tensor()], "parameters": []}, None),
        ({"inputs": [tensor()], "parameters": [1]}, '"parameters" is a list'),
    ],
)
def test_what_is_no_request_is_told(body, words):
    if words is None:
        oip.read(body)
        return
    with pytest.raises(UsageError) as refused:
        oip.read(body)
    assert words in str(refused.value)


def test_outputs_that_there_are_not_are_told():
    assert oip.chosen({"a": [1], "b": [2]}, ("b",)) == {"b": [2]}
    with pytest.raises(UsageError, match="no output 'c'; there are a, b"):
        oip.chosen({"a": [1], "b": [2]}, ("c",))


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@pytest.mark.slow
@given(
    body=json
    | st.fixed_dictionaries(
        {"inputs": st.lists(json | st.fixed_dictionaries(dict.fromkeys(tensor(), json)))},
        optional={"id": json, "parameters": json, "outputs": json},
    )
)
def test_whatever_json_it_is_there_is_a_request_or_a_sentence(body):
    try:
        asked = oip.read(body)
    except UsageError:
        return
    assert all(len(values) == asked.rows for values in asked.columns.values())
