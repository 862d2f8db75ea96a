"""What is wrong with a label: lopsided, told by one column, or by one value."""

import numpy as np
import pyarrow as pa
import pytest

from raypipe.config.data import ColumnSplit, DataConfig
from raypipe.config.validation import ValidationConfig
from raypipe.stages.validation.checks import check
from raypipe.stages.validation.inference import infer_schema
from raypipe.stages.validation.labels import of_dominance, of_label, of_listed
from raypipe.stages.validation.leakage import of_leakage
from raypipe.values.profile import Profile, profile_table

ROWS = 1000
DATA = DataConfig(
    dataset="local://r/main", label="late", key=("id",), split=ColumnSplit(column="split")
)
SETTINGS = ValidationConfig()


def profile(**change) -> Profile:
    random = np.random.default_rng(1)
    columns = {
        "id": np.arange(ROWS),
        "wind": random.normal(size=ROWS),
        "carrier": random.choice(["AA", "BB"], ROWS),
        "late": random.choice(["no", "yes"], ROWS),
        **change,
    }
    return profile_table(pa.table(columns))


def found(settings: ValidationConfig = SETTINGS, **change) -> list[tuple[str, str]]:
    seen = profile(**change)
    schema = infer_schema("test", seen, DATA, SETTINGS)
    found = [*of_label(seen, schema, settings), *of_leakage(seen, schema, settings)]
    return [(one.kind, one.column) for one in found]


LATE = profile().sample.rows.sort_by("id")["late"].to_numpy(zero_copy_only=False)


def test_an_even_label_that_nothing_tells_raises_no_word():
    assert len(LATE) == ROWS
    assert found() == []


@pytest.mark.parametrize(("rare", "said"), [(5, [("imbalance", "late")]), (100, [])])
def test_a_class_of_too_small_a_share_is_named(rare, said):
    label = np.array(["yes"] * rare + ["no"] * (ROWS - rare))
    assert found(late=np.random.default_rng(2).permutation(label)) == said


def test_what_balance_is_allowed_is_a_setting():
    label = np.array(["yes"] * 5 + ["no"] * (ROWS - 5))
    assert found(ValidationConfig(balance=0), late=label) == []


def test_a_label_of_many_numbers_has_no_balance():
    assert found(late=np.random.default_rng(3).gamma(2, 5, ROWS)) == []


def test_a_column_that_is_the_label_by_another_name_leaks():
    named = np.where(LATE == "yes", "delayed", "on time")
    assert found(status=named, late=LATE) == [("target_leakage", "status")]


def test_a_number_that_parts_the_classes_leaks_and_one_that_only_helps_does_not():
    noise = np.random.default_rng(4).normal(size=ROWS)
    parts = np.where(LATE == "yes", 60.0, 0.0) + noise
    helps = np.where(LATE == "yes", 1.0, 0.0) + noise
    assert found(delay=parts, late=LATE) == [("target_leakage", "delay")]
    assert found(delay=helps, late=LATE) == []


def test_a_number_in_another_unit_leaks_a_label_of_numbers():
    minutes = np.random.default_rng(5).gamma(2, 5, ROWS)
    assert found(late=minutes, hours=minutes / 60) == [("target_leakage", "hours")]


def test_how_much_a_column_may_tell_is_a_setting():
    named = np.where(LATE == "yes", "delayed", "on time")
    assert found(ValidationConfig(leakage=None), status=named, late=LATE) == []


def test_a_value_whose_new_rows_all_have_one_label_is_named():
    before = profile()
    schema = infer_schema("test", before, DATA, SETTINGS)
    carrier = np.random.default_rng(6).choice(["AA", "BB"], ROWS)
    new = profile(carrier=carrier, late=np.where(carrier == "BB", "yes", LATE))
    (one,) = of_dominance(new, before, schema, SETTINGS)
    assert (one.kind, one.column, one.examples) == ("dominance", "carrier", ("BB",))
    assert list(of_dominance(before, before, schema, SETTINGS)) == []
    always = list(of_dominance(new, new, schema, SETTINGS))
    assert always == []  # it was so before: no news
    off = ValidationConfig(dominance=None)
    assert list(of_dominance(new, before, schema, off)) == []


def test_values_that_only_lists_of_other_splits_hold_are_told_and_stop_nothing(profiles):
    tags = [["a"], ["a", "b"]] * 30 + [["b", "z"]] * 20 + [["b"]] * 18 + [["q", "z"], ["q"]]
    made = profiles({"late": tags})
    schema = infer_schema("test", made.all, DATA, SETTINGS)

    told = [*of_listed(made, schema)]
    judged = [one for one in check(made, schema, SETTINGS).anomalies if one.column == "late"]

    assert [one.examples for one in told] == [("z",), ("q", "z")]
    assert "lists of the validation split hold 1 value (z) that none of the train" in told[0].said
    assert {(one.kind, one.severity) for one in judged} == {("unseen_category", "warn")}
    assert [*of_listed(profiles({"late": [["a"], ["b"]] * 50}), schema)] == []
    assert [*of_listed(profiles(), schema)] == []
