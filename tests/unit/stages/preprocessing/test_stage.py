"""The preprocessing stage, as a run calls it."""

import json
from dataclasses import replace

import pytest

from raypipe.config.preprocessing import PreprocessingConfig
from raypipe.engine.context import StepContext, within
from raypipe.stages.preprocessing import fit, transform_shards
from raypipe.values.profile import SplitProfiles


@pytest.fixture
def context(tmp_path):
    """A run in this process, with a project of its own."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text("[project]\nname = 'p'\nversion = '0'\n")
    return StepContext(
        run="r",
        step="s",
        runtime="inline",
        home=tmp_path,
        root=root,
        paths=(str(root),),
        scratch=tmp_path / "scratch",
        events=tmp_path / "events.jsonl",
    )


def test_shards_come_back_in_their_order(rows, profiles, schema, recipe, rule, write_shard):
    transform = fit("f", schema, recipe, "late", "binary", rule, "local://f", profiles.train)
    tables = {"a": rows, "b": rows[:100], "c": rows[:50]}
    made = transform_shards([write_shard(t, n) for n, t in tables.items()], transform, rule)
    counts = [shard.train.rows + shard.validation.rows for shard in made]
    kept = [sum(s != "analysis" for s in t["split"].to_pylist()) for t in tables.values()]
    assert counts == kept


def test_two_calls_outside_a_run_do_not_share_files(
    rows, profiles, schema, recipe, rule, write_shard
):
    """They share a scratch folder; the second must not take the first one's rows for its own."""
    transform = fit("f", schema, recipe, "late", "binary", rule, "local://f", profiles.train)
    (first,) = transform_shards([write_shard(rows)], transform, rule)
    (second,) = transform_shards([write_shard(rows[:10])], transform, rule)
    assert second.train.rows < 10 < first.train.rows


def test_progress_says_how_many_shards_are_done(
    rows, profiles, schema, recipe, rule, write_shard, context
):
    with within(context):
        transform = fit("f", schema, recipe, "late", "binary", rule, "local://f", profiles.train)
        made = transform_shards([write_shard(rows, n) for n in "ab"], transform, rule)
    events = [json.loads(line) for line in context.events.read_text().splitlines()]
    assert [(e["done"], e["total"]) for e in events] == [(0, 2), (1, 2), (2, 2)]
    assert made[0].train.file.parent == context.scratch


def test_it_is_fitted_to_what_counts_where_every_change_counts(profiles, schema, recipe, rule):
    empty = SplitProfiles.merge_all([])
    fitted = fit(
        "f",
        schema,
        recipe,
        "late",
        "binary",
        rule,
        "local://f",
        empty.train,
        refit_on=profiles.train,
    )
    assert fitted == fit("f", schema, recipe, "late", "binary", rule, "local://f", profiles.train)


def test_an_edit_of_a_users_function_makes_another_transform(profiles, schema, rule, context):
    """The transform holds no code: without a digest of it, what follows would stay as it was."""
    recipe = PreprocessingConfig.model_validate(
        {"groups": [{"kind": "function", "columns": "miles", "function": "mine_here:f"}]}
    )

    def fitted(text: str):
        (context.root / "mine_here.py").write_text(text)
        with within(context):
            return fit("f", schema, recipe, "late", "binary", rule, "local://f", profiles.train)

    before = fitted("import math\n\n\ndef f(rows):\n    return rows['miles'].to_numpy()\n")
    again = fitted(
        "import math\n\n\ndef f(rows):\n    # why\n    return rows['miles'].to_numpy()\n"
    )
    after = fitted("import math\n\n\ndef f(rows):\n    return rows['miles'].to_numpy() * 2\n")
    assert before.groups[0].code
    assert again == before
    assert after != before
    without = [tuple(replace(g, code="") for g in t.groups) for t in (before, after)]
    assert without[0] == without[1]
