"""Captured rows have all that a row of the data must, each key once."""

import pyarrow as pa

from raypipe.config.data import DataConfig
from raypipe.config.feedback import FeedbackConfig
from raypipe.stages.feedback.capturing import found
from raypipe.stages.feedback.joining import no_rows
from raypipe.values.feedback import Findings, Joined, LabelCounts
from raypipe.values.profile import SplitProfiles, profile_table
from raypipe.values.signature import Label

LATE = Label(name="late", task="binary", classes=("false", "true"))
COLUMNS = {"day": "string", "number": "int64", "late": "bool"}
DATA = DataConfig.model_validate(
    {
        "dataset": "local://m/main",
        "label": "late",
        "key": ["number"],
        "split": {"by": "group", "columns": "day"},
    }
)
NONE = LabelCounts(told=0, joined=0, replaced=0, unmatched=0, unfit=0, waiting=0)


def capture(rows: list[tuple[str | None, int | None, str | None]], **earlier: str) -> Findings:
    """Capture rows of (day, number, label); those asked are `a/0`, `b/0`, …"""
    days, numbers, labels = zip(*rows, strict=True)
    fields = pa.table(
        {
            "day": pa.array(days, pa.string()),
            "number": pa.array(numbers, pa.int64()),
            "late": pa.nulls(len(rows), pa.bool_()),
        }
    )
    asked = pa.table(
        {
            "request": [chr(ord("a") + place) for place in range(len(rows))],
            "row": [0] * len(rows),
            "label": pa.array(labels, pa.string()),
        }
    )
    there = profile_table(no_rows(COLUMNS).fields, key=DATA.key)
    profiles = SplitProfiles(train=there, validation=there, analysis=there)
    known = {f"{name}/0": text for name, text in earlier.items()}
    joined = Joined(asked=asked, fields=fields, counts=NONE)
    return found(joined, LATE, COLUMNS, DATA, profiles, known, FeedbackConfig(least_rows=2), (), ())


def test_rows_that_lack_what_the_data_needs_are_left_out_given_as_null_or_not():
    made = capture([("d", 1, "true"), ("d", None, "true"), (None, 2, "true"), ("d", 3, None)])
    assert made.captured.requests == ("a/0",)
    assert made.left_out == {"lack number": 1, "lack day": 1}
    assert (made.offered, made.offer()) == (False, None)


def test_of_a_key_the_latest_is_taken_and_what_was_accepted_is_not_taken_again():
    made = capture(
        [("d", 1, "true"), ("d", 1, "false"), ("d", 2, "true"), ("d", 3, "true")], c="false"
    )
    assert made.captured.rows.to_pydict() == {
        "day": ["d", "d"],
        "number": [1, 3],
        "late": [False, True],
    }
    assert made.left_out == {"were accepted before": 1, "were asked again later": 1}
    assert made.changed == 1
    offered = made.offer()
    assert offered is not None
    assert (offered.left_out, offered.changed) == (made.left_out, 1)
