"""Which anomalies rows have: each way to break a schema, one at a time."""

import tracemalloc

import pyarrow as pa
import pytest

from raypipe.config.validation import DriftConfig, ValidationConfig
from raypipe.stages.validation import leakage
from raypipe.stages.validation.checks import check
from raypipe.values import keys
from raypipe.values.profile import SplitProfiles

ROWS = 100
HIGH = [45.0 + i % 5 for i in range(ROWS)]
"""Temperatures of the upper tenth alone."""


def found(profiles, schema, settings=None, **more):
    """Return (kind, column, severity) of each anomaly, and the anomalies."""
    said = check(profiles, schema, settings or ValidationConfig(), **more).anomalies
    return [(a.kind, a.column, a.severity) for a in said], said


def test_rows_that_keep_the_schema_pass(profiles, schema):
    validation = check(profiles(), schema, ValidationConfig())
    assert (validation.verdict, validation.rows, validation.anomalies) == ("pass", ROWS, ())


def test_a_missing_column_stops(profiles, schema):
    what, (anomaly,) = found(profiles({"temp": None}), schema)
    assert what == [("missing_column", "temp", "stop")]
    assert anomaly.message == "temp: the column is missing."
    assert anomaly.share == 1


def test_a_column_that_some_shards_lack_stops_with_its_share(profiles, schema):
    both = SplitProfiles.merge_all([profiles(), profiles({"temp": None}, first=ROWS)])
    what, (anomaly,) = found(both, schema)
    assert what == [("missing_column", "temp", "stop")]
    assert "missing in 50 % of rows" in anomaly.message


def test_a_new_column_warns(profiles, schema):
    assert found(profiles({"gate": [1] * ROWS}), schema)[0] == [("new_column", "gate", "warn")]


def test_another_type_stops(profiles, schema):
    what, (anomaly, *_) = found(profiles({"temp": ["a"] * ROWS}), schema)
    assert ("type", "temp", "stop") in what
    assert anomaly.message == "temp: the type is string, and the schema says double."


def test_another_width_of_a_type_is_the_same_kind(profiles, schema):
    import pyarrow as pa

    narrow = pa.array([float(i % 50) for i in range(ROWS)], pa.float32())
    assert found(profiles({"temp": narrow}), schema)[0] == []


def test_nulls_beyond_what_the_schema_allows_warn(profiles, schema):
    temp = [None] * 12 + [1.0] * 88
    what, (anomaly,) = found(profiles({"temp": temp}), schema)
    assert what == [("nulls", "temp", "warn")]
    assert anomaly.message == "temp: 12 % of rows have no value; the schema allows none."
    assert "nulls: 0.12" in anomaly.allow


@pytest.mark.parametrize("column", ["late", "id"])
def test_nulls_in_the_label_or_the_key_stop(profiles, schema, column):
    values = [None, *([True, False] * 50)[:99]] if column == "late" else [None, *range(99)]
    assert ("nulls", column, "stop") in found(profiles({column: values}), schema)[0]


def test_values_out_of_range_warn_with_share_and_extreme(profiles, schema):
    temp = [100.0] * 3 + [-5.0] + [1.0] * 96
    what, (anomaly,) = found(profiles({"temp": temp}), schema)
    assert what == [("range", "temp", "warn")]
    said = "temp: 1 % of rows below 0 (smallest -5), 3 % of rows above 49 (largest 100)."
    assert anomaly.message == said
    assert anomaly.share == 0.04
    assert anomaly.examples == ("-5", "100")


def test_infinities_are_out_of_any_range(profiles, schema):
    temp = [float("inf")] + [1.0] * 99
    what, (anomaly,) = found(profiles({"temp": temp}), schema)
    assert what == [("range", "temp", "warn")]
    assert "1 % of rows infinite" in anomaly.message


def test_an_unseen_category_warns_and_is_named(profiles, schema):
    what, (anomaly,) = found(profiles({"carrier": ["XX", "YY"] + ["AA"] * 98}), schema)
    assert what == [("unseen_category", "carrier", "warn")]
    said = "carrier: 2 % of rows have 2 values that the schema does not list (XX, YY)."
    assert anomaly.message == said


def test_an_empty_text_is_a_category_like_any_other(profiles, schema):
    _, (anomaly,) = found(profiles({"carrier": [""] + ["AA"] * 99}), schema)
    assert "('')" in anomaly.message


def test_no_rows_at_all_stop(profiles, schema):
    empty = {name: [] for name in ("id", "day", "temp", "carrier", "late", "split")}
    what, (anomaly,) = found(profiles(empty), schema)
    assert what == [("empty", "", "stop")]
    assert anomaly.message == "The data has no rows."


def test_a_split_without_rows_stops(profiles, schema):
    what, (anomaly,) = found(profiles({"split": ["train"] * ROWS}), schema)
    assert what == [("empty", "", "stop")]
    assert "validation or analysis" in anomaly.message


def test_two_rows_of_one_key_stop(profiles, schema):
    what, (anomaly,) = found(profiles({"id": [0, 0, *range(2, 100)]}), schema)
    assert what == [("duplicate_key", "id", "stop")]
    assert "1 row (1 %) has the key of another (id)" in anomaly.message


def test_beyond_the_keys_that_are_kept_so_many_are_said_to_be_an_estimate(
    profiles, schema, monkeypatch
):
    monkeypatch.setattr(keys, "KEYS", 60)
    _, (anomaly,) = found(profiles({"id": [*range(50), *range(50)]}), schema)
    assert "50 rows (50 %) have the key of another (id)." in anomaly.message
    monkeypatch.setattr(keys, "KEYS", 20)
    _, (anomaly,) = found(profiles({"id": [*range(50), *range(50)]}), schema)
    assert "about 50 rows (50 %) have the key of another (id), as 20 keys" in anomaly.message


def test_keys_that_two_shards_share_stop(profiles, schema):
    twice = SplitProfiles.merge_all([profiles(), profiles()])
    assert ("duplicate_key", "id", "stop") in found(twice, schema)[0]


def test_a_constant_label_stops(profiles, schema):
    what, (anomaly,) = found(profiles({"late": [False] * ROWS}), schema)
    assert what == [("constant_label", "late", "stop")]
    assert anomaly.message == "late: the label is false in all 60 rows of the train split."


def test_a_missing_label_stops(profiles, schema):
    assert ("missing_column", "late", "stop") in found(profiles({"late": None}), schema)[0]


def test_drift_of_the_new_rows_warns_and_names_column_and_distance(profiles, schema):
    before, fresh = profiles(), profiles({"temp": HIGH}, first=ROWS)
    both = SplitProfiles.merge_all([before, fresh])
    what, (anomaly,) = found(both, schema, fresh=fresh, baseline=before)
    assert what == [("drift", "temp", "warn")]
    assert anomaly.message.startswith("temp: the new rows lie 0.73 from")
    assert "validation.drift.columns.temp: 0.73" in anomaly.allow


def test_time_and_ids_may_go_on(profiles, schema):
    """Both are all new in each new shard: that is no drift."""
    before, fresh = profiles(), profiles(first=ROWS)
    both = SplitProfiles.merge_all([before, fresh])
    assert found(both, schema, fresh=fresh, baseline=before)[0] == []


def test_drift_is_not_looked_at_where_the_settings_say_so(profiles, schema):
    before, fresh = profiles(), profiles({"temp": HIGH}, first=ROWS)
    both = SplitProfiles.merge_all([before, fresh])
    settings = ValidationConfig(drift=None)
    assert found(both, schema, settings, fresh=fresh, baseline=before)[0] == []


def test_a_column_can_be_given_another_threshold(profiles, schema):
    before, fresh = profiles(), profiles({"temp": HIGH}, first=ROWS)
    both = SplitProfiles.merge_all([before, fresh])
    settings = ValidationConfig(drift=DriftConfig(columns={"temp": 1.0}))
    assert found(both, schema, settings, fresh=fresh, baseline=before)[0] == []


def test_a_bad_shard_does_not_drown_among_many_good_ones(profiles, schema):
    """One value in a hundred of the new rows, one in a thousand of all."""
    good = [profiles(first=i * ROWS) for i in range(9)]
    bad = profiles({"temp": [99.0] + [1.0] * 99}, first=9 * ROWS)
    every = SplitProfiles.merge_all([*good, bad])
    _, said = found(every, schema, fresh=bad, baseline=SplitProfiles.merge_all(good))
    (anomaly,) = (a for a in said if a.kind == "range")
    assert anomaly.message == "temp: 1 % of the new rows above 49 (largest 99)."


def test_severity_can_be_set_by_kind(profiles, schema):
    settings = ValidationConfig(severities={"range": "stop", "type": "warn"})
    assert found(profiles({"temp": [99.0] * ROWS}), schema, settings)[0] == [
        ("range", "temp", "stop")
    ]
    assert found(profiles({"temp": ["a"] * ROWS}), schema, settings)[0][0][2] == "warn"


def test_severity_by_column_wins_over_that_by_kind(profiles, schema):
    settings = ValidationConfig(severities={"range": "stop"}, columns={"temp": "ignore"})
    assert found(profiles({"temp": [99.0] * ROWS}), schema, settings)[0] == []


def test_what_stops_comes_first_and_says_how_to_allow_it(profiles, schema):
    broken = profiles({"temp": [99.0] * ROWS, "carrier": [1] * ROWS})
    what, said = found(broken, schema)
    assert [severity for *_, severity in what] == ["stop", "warn", "warn"]
    assert said[0].allow.endswith("or validation.columns.carrier: warn")
    assert said[1].allow.endswith("or validation.columns.temp: ignore")


def test_a_column_that_need_not_be_there_may_be_missing(profiles, schema):
    from dataclasses import replace

    columns = tuple(replace(c, required=c.name != "temp") for c in schema.columns)
    assert found(profiles({"temp": None}), replace(schema, columns=columns))[0] == []


def test_what_is_expected_neither_stops_nor_warns_and_is_kept_with_who_and_why(profiles, schema):
    settings = ValidationConfig.model_validate(
        {"accept": [{"what": "missing_column:temp", "by": "anna", "why": "no sensor"}]}
    )
    validation = check(profiles({"temp": None}), schema, settings)
    assert validation.verdict == "pass"
    (one,) = validation.accepted
    assert (one.anomaly.column, one.by, one.why) == ("temp", "anna", "no sensor")


def test_a_schema_of_few_rows_does_not_speak_of_what_they_cannot_rule_out(profiles, schema):
    from dataclasses import replace

    told = replace(schema, rows=ROWS)
    odd = profiles({"temp": [None, 50.0, *([1.0] * 98)]})
    assert found(odd, told)[0] == []
    assert [kind for kind, *_ in found(odd, schema)[0]] == ["nulls", "range"]
    assert ("nulls", "temp", "warn") in found(profiles({"temp": [None] * 20 + [1.0] * 80}), told)[0]


def test_requests_have_no_label(profiles, schema):
    served = schema.within("serving")
    assert found(profiles({"late": None}), served)[0] == []
    assert ("missing_column", "temp", "stop") in found(
        profiles({"late": None, "temp": None}), served
    )[0]


def test_a_split_of_few_groups_may_differ_as_groups_do(schema):
    """Six hundred rows, but twelve days: chance does what it does to twelve draws."""
    import numpy as np
    import pyarrow as pa

    from raypipe.config.data import GroupSplit, HashSplit
    from raypipe.stages.data.profiling import profile_splits

    day = np.repeat(np.arange(60), 50)
    table = pa.table({"day_no": day, "n": np.arange(3000), "mood": np.sin(day * 1.7).round(1)})

    def skewed(rule, told):
        validation = check(profile_splits(table, rule, ()), schema, ValidationConfig(), split=told)
        return [a.column for a in validation.anomalies if a.kind == "skew"]

    by_day = GroupSplit(columns="day_no", salt="2")
    assert skewed(by_day, by_day) == []
    assert skewed(by_day, HashSplit(columns=("n",)))[-1:] == ["mood"]


def test_one_long_text_costs_its_own_length_not_that_of_every_row():
    """numpy would give each row the room of the longest: a document of a megabyte, and all is."""
    rows = pa.table({"text": ["x" * 50_000, *map(str, range(999))]})
    tracemalloc.start()
    codes = leakage._codes(rows["text"].chunk(0))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert codes is not None
    assert len(set(codes)) == 1000
    assert most < 10 * 2**20
