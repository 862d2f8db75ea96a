"""Co-counts of two columns: exact while few, merged from parts, and with a drift of their own."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.config.validation import ValidationConfig
from raypipe.stages.validation.changes import of_changes
from raypipe.values.counting import EXACT_VALUES
from raypipe.values.measure import Parts
from raypipe.values.pairs import association, values_of
from raypipe.values.profile import Profile, profile_parts, profile_table
from raypipe.values.schema import Schema

PAIR = ("a", "b")


def counts(profile: Profile) -> dict[str, int] | None:
    held = profile.pairs["a, b"]
    return None if held is None else held.pairs


def rows() -> st.SearchStrategy[pa.Table]:
    values = st.sampled_from(['x, "y"', "é\n", "", None]), st.sampled_from([0.0, -0.0, 2.5, None])
    return st.lists(st.tuples(*values), max_size=30).map(
        lambda pairs: pa.table(
            {
                "a": pa.array([a for a, _ in pairs], pa.string()),
                "b": pa.array([b for _, b in pairs], pa.float64()),
            }
        )
    )


@settings(max_examples=40, deadline=None)
@given(rows(), rows(), rows())
def test_the_counts_of_a_whole_are_those_of_its_parts(one, two, three):
    tables = [one, two, three]
    every = pa.concat_tables(tables)
    whole = counts(profile_table(every, pairs=[PAIR]))
    texts = ["0" if b == 0 else None if b is None else f"{b:g}" for b in every["b"].to_pylist()]
    truth = list(zip(every["a"].to_pylist(), texts, strict=True))
    assert whole is not None
    assert {values_of(text): n for text, n in whole.items()} == {p: truth.count(p) for p in truth}
    merged = Profile.merge_all(profile_table(table, pairs=[PAIR]) for table in tables)
    assert counts(merged) == whole

    part = np.concatenate([np.full(len(t), n, np.int8) for n, t in enumerate(tables)])
    told = profile_parts(every, Parts.of(part, 3), pairs=[PAIR])
    assert [counts(p) for p in told] == [counts(profile_table(t, pairs=[PAIR])) for t in tables]


def test_too_many_pairs_are_not_counted_in_the_whole_or_in_parts():
    places = np.arange(EXACT_VALUES + 2)
    many = pa.table({"a": places // 40, "b": places % 40})
    parts = [profile_table(half, pairs=[PAIR]) for half in (many[:600], many[600:])]
    assert all(counts(part) for part in parts)
    assert counts(profile_table(many, pairs=[PAIR])) is None
    assert counts(Profile.merge_all(parts)) is None


def test_a_part_with_few_values_is_counted_beside_one_with_too_many():
    """What a split is like must not hang on which rows of other splits its shards have."""
    places = np.arange(EXACT_VALUES + 500)
    table = pa.table({"a": places.astype(str), "b": places % 2})
    part = (places < 50).astype(np.int8)
    many, few = profile_parts(table, Parts.of(part, 2), pairs=[PAIR])
    assert counts(many) is None
    assert counts(few)
    assert counts(few) == counts(profile_table(table[:50], pairs=[PAIR]))


def test_a_pair_of_a_column_that_is_not_there_is_left_out():
    table = pa.table({"a": [1]})
    assert profile_table(table, pairs=[PAIR]).pairs == {}


def test_columns_of_chance_have_no_association_and_one_that_copies_has_all():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, (2, 5_000))
    apart = counts(profile_table(pa.table({"a": a, "b": b}), pairs=[PAIR]))
    alike = counts(profile_table(pa.table({"a": a, "b": 4 - a}), pairs=[PAIR]))
    constant = counts(profile_table(pa.table({"a": a, "b": a * 0}), pairs=[PAIR]))
    assert apart
    assert alike
    assert constant
    assert association(apart) == pytest.approx(0, abs=0.03)
    assert association(alike) == pytest.approx(1)
    assert association(constant) is None


def test_two_columns_that_go_together_otherwise_have_drifted_though_neither_moved():
    a = np.arange(4_000) % 2
    before = profile_table(pa.table({"a": a, "b": a}), pairs=[PAIR])
    same = profile_table(pa.table({"a": a, "b": a}), pairs=[PAIR])
    turned = profile_table(pa.table({"a": a, "b": 1 - a}), pairs=[PAIR])
    rules = ValidationConfig()
    schema = Schema(name="t", columns=())
    assert not list(of_changes(same, before, schema, rules, {}))
    (found,) = of_changes(turned, before, schema, rules, {})
    assert (found.kind, found.column) == ("drift", "a, b")


def test_images_of_another_size_have_drifted():
    from tests.hostile import png

    before = profile_table(pa.table({"p": [png(16, 16), png(24, 16)] * 200}))
    after = profile_table(pa.table({"p": [png(640, 16), png(24, 16)] * 200}))
    schema = Schema(name="t", columns=())
    found = of_changes(after, before, schema, ValidationConfig(), {})
    assert [one.column for one in found] == ["p.width"]
