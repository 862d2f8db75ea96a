"""Records become rows in the types of the data; what is none of a type is null, never bent."""

from datetime import date
from pathlib import Path

import orjson
import pyarrow as pa
import pytest

from raypipe.config.analysis import MeasuringConfig
from raypipe.config.feedback import FeedbackConfig
from raypipe.stages.feedback.converting import converted
from raypipe.stages.feedback.joining import joined, scores_of
from raypipe.stages.feedback.quality import measured
from raypipe.stages.feedback.reading import logged
from raypipe.store.segments import SegmentWriter, segments
from raypipe.values.feedback import Logged, LogPart, Registered
from raypipe.values.signature import Label

LATE = Label(name="late", task="binary", classes=("false", "true"))
KINDS = Label(name="kind", task="multiclass", classes=("a", "b", "c"))
COLUMNS = {"day": "date32[day]", "flight": "int64", "wind": "double"}


def request(name: str, outputs: dict, columns: dict | None = None, **more: object) -> dict:
    rows = len(next(iter(outputs.values())))
    about = {"kind": "request", "id": name, "client_id": None, "time": 1.0, "model": "m"}
    given = {"version": "1.0.0", "rows": rows, "columns": columns or {}, "unseen": {}}
    return {**about, **given, "outputs": outputs, **more}


def told(name: str, row: int, value: object, time: float = 2.0) -> dict:
    about = {"kind": "label", "id": f"l{time}", "model": "m", "time": time}
    return {**about, "request": name, "row": row, "label": value}


def read(folder: Path, records: list[dict], label: Label = LATE) -> Logged:
    writer = SegmentWriter(folder)
    for record in records:
        writer.append(orjson.dumps(record))
    writer.close()
    (one,) = segments(folder)
    part = LogPart(digest=one.digest, records=one.records, uuid=one.uuid, place=str(one.path))
    return logged(part, "m", label, COLUMNS)


def test_each_row_of_a_request_is_one_with_its_scores_and_values(tmp_path):
    columns = {"day": ["2026-01-31", None], "flight": [7, 8.0], "other": [1, 2]}
    found = read(
        tmp_path,
        [
            request("r", {"late_probability": [0.25, 0.5]}, columns, unseen={"wind": [1]}),
            request("s", {"late_probability": [0.75]}, client_id="mine"),
            {**request("t", {"late_probability": [0.5]}), "model": "another"},
            told("r", 1, True),
        ],
    )
    assert found.asked.select(["request", "client", "row", "unseen"]).to_pylist() == [
        {"request": "r", "client": None, "row": 0, "unseen": []},
        {"request": "r", "client": None, "row": 1, "unseen": ["wind"]},
        {"request": "s", "client": "mine", "row": 0, "unseen": []},
    ]
    assert scores_of(found.asked).tolist() == [[0.25], [0.5], [0.75]]
    assert found.fields.to_pydict() == {
        "day": [date(2026, 1, 31), None, None],
        "flight": [7, 8, None],
        "wind": [None, None, None],
    }
    assert found.labels["label"].to_pylist() == ["true"]


@pytest.mark.parametrize(
    ("kind", "values", "fit"),
    [
        (pa.int64(), [1, 1.5, True, "2", None, 3.0], [1, None, None, None, None, 3]),
        (pa.float64(), [1, True, "x", 0.5], [1.0, None, None, 0.5]),
        (pa.string(), ["a", 1, None], ["a", None, None]),
        (pa.bool_(), [True, 1, "true"], [True, None, None]),
        (pa.date32(), ["2026-01-31", "soon", True], [date(2026, 1, 31), None, None]),
        (pa.int8(), [1, 1000], [1, None]),
    ],
)
def test_a_value_that_is_none_of_its_type_is_null(kind, values, fit):
    assert converted(values, kind).to_pylist() == fit


def test_versions_that_know_other_classes_are_joined_and_not_measured(tmp_path):
    """An older version may have been trained when there were fewer."""
    names = [f"kind_probability_{one}" for one in "abc"]
    now = request("n", dict(zip(names, [[0.5] * 40, [0.25] * 40, [0.25] * 40], strict=True)))
    old = request("o", {names[0]: [0.5] * 40, names[1]: [0.5] * 40}, version="0.9.0")
    labels = [told(name, row, "ab"[row % 2]) for name in "no" for row in range(40)]
    every = joined([read(tmp_path, [old, now, *labels], KINDS)], KINDS, COLUMNS)
    assert every.counts.joined == 80
    versions = [Registered(version=v, metrics={}) for v in ("1.0.0", "0.9.0")]
    fresh, before = measured(every, KINDS, versions, (), FeedbackConfig(), MeasuringConfig())
    assert fresh.metrics["accuracy"].value == 0.5
    assert (before.labelled, before.metrics) == (40, {})
    assert before.said == "it answers something else than kind now"


def test_the_latest_label_wins_whatever_the_order_they_are_read_in(tmp_path):
    asked = request("r", {"late_probability": [0.5, 0.5]}, client_id="mine")
    labels = [told("r", 0, True, 9.0), told("r", 0, False, 3.0), told("mine", 1, 1, 4.0)]
    strange = [told("x", 0, True, 5.0), told("r", 1, "perhaps", 6.0)]
    found = joined([read(tmp_path, [*labels, *strange, asked])], LATE, COLUMNS)
    assert found.asked["label"].to_pylist() == ["true", "true"]
    counts = found.counts
    assert (counts.told, counts.joined, counts.replaced, counts.waiting) == (5, 2, 1, 0)
    assert (counts.unmatched, counts.examples, counts.unfit) == (1, ("x",), 1)
