"""A version is derived from what changed, never typed; the changelog says what that was."""

from dataclasses import replace

import pytest

from raypipe.stages.registry.deriving import changelog, derive
from raypipe.store.version_numbers import next_free
from raypipe.values.signature import Feature, Label, Signature, TensorSpec
from raypipe.values.version import FOUND, Lineage

SIGNATURE = Signature(
    features=(Feature(name="temp", type="double", nullable=True),),
    tensors=(TensorSpec(name="dense", dtype="float32", shape=(1,)),),
    label=Label(name="late", task="binary", classes=("false", "true")),
)
BEFORE = Lineage(
    dataset="local://flights/main",
    commit="c1",
    shards={"a.parquet": "blake2b:1"},
    rows={"train": 70, "validation": 15, "analysis": 15},
    settings={"training": {"epochs": 5, "seed": 0}},
    code={"my.model:build": "d1"},
    packages={"torch": "2.15.0"},
    signature=SIGNATURE,
    run="r1",
)


def signature_with(**changes: object) -> Lineage:
    return replace(BEFORE, signature=replace(SIGNATURE, **changes))


def swept(found: dict[str, object]) -> Lineage:
    return replace(BEFORE, settings={**BEFORE.settings, FOUND: found})


CHANGES = {
    "a feature more": (
        signature_with(
            features=(*SIGNATURE.features, Feature(name="wind", type="double", nullable=True))
        ),
        "2.0.0",
        "the request gained wind",
    ),
    "a feature of another type": (
        signature_with(features=(Feature(name="temp", type="string", nullable=True),)),
        "2.0.0",
        "temp was double and is string",
    ),
    "another set of classes": (
        signature_with(label=replace(SIGNATURE.label, classes=("no", "yes"))),
        "2.0.0",
        "the label or its classes changed",
    ),
    "code": (
        replace(BEFORE, code={"my.model:build": "d2"}),
        "1.3.0",
        "code changed: my.model:build",
    ),
    "a setting": (
        replace(BEFORE, settings={"training": {"epochs": 6, "seed": 0}}),
        "1.3.0",
        "settings changed: training.epochs",
    ),
    "the seed": (
        replace(BEFORE, settings={"training": {"epochs": 5, "seed": 1}}),
        "1.2.4",
        "the seed changed",
    ),
    "what a sweep found": (
        swept({"training.epochs": 7}),
        "1.2.4",
        "the sweep found other settings",
    ),
    "what is searched": (
        replace(
            BEFORE, settings={**BEFORE.settings, "tuning": {"space": {"training.epochs": [1, 2]}}}
        ),
        "1.3.0",
        "settings changed: tuning.space.training.epochs",
    ),
    "data": (
        replace(BEFORE, shards={**BEFORE.shards, "b.parquet": "blake2b:2"}),
        "1.2.4",
        "the data changed",
    ),
    "a package": (replace(BEFORE, packages={"torch": "2.16.0"}), "1.2.4", "packages changed"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_level_follows_from_what_changed(change):
    now, version, reason = CHANGES[change]

    found, _, reasons = derive(BEFORE, now, "1.2.3")

    assert found == version
    assert reason in reasons


def test_the_first_version_is_one():
    assert derive(None, BEFORE, None)[:2] == ("1.0.0", "first")


def test_a_number_that_is_taken_moves_to_the_next_patch():
    assert next_free("1.0.1", frozenset({"1.0.1", "1.0.2"})) == "1.0.3"


def test_the_first_changelog_writes_one_shard_as_one():
    log = changelog(None, BEFORE, "major", (), ())
    assert log.data == ("100 rows in 1 shard",)


def test_the_changelog_counts_rows_and_names_shards_code_and_settings():
    now = replace(
        BEFORE,
        shards={"b.parquet": "blake2b:2"},
        rows={"train": 100, "validation": 20, "analysis": 20},
        settings={"training": {"epochs": 9, "seed": 0}},
        code={"my.model:build": "d2"},
    )
    log = changelog(BEFORE, now, "minor", ("code changed",), ("auc 0.7 → 0.8",))

    assert log.data == (
        "40 rows added (140 in all)",
        "shard a.parquet removed",
        "shard b.parquet added",
    )
    assert log.code == ("my.model:build changed",)
    assert log.settings == ("training.epochs: 5 → 9",)
    assert log.metrics == ("auc 0.7 → 0.8",)


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({}, {"a": 1}, ("a: 1, found by a sweep",)),
        ({"a": 1, "b": [4]}, {"a": 2, "b": [4]}, ("a: 1 → 2, found by a sweep",)),
        ({"a": 1}, {}, ("a: as written, no longer 1",)),
    ],
)
def test_the_changelog_says_what_a_sweep_found(before, now, said):
    assert changelog(swept(before), swept(now), "patch", (), ()).settings == said


def test_a_long_changelog_is_bounded():
    now = replace(BEFORE, shards={f"{n}.parquet": str(n) for n in range(100)})

    log = changelog(BEFORE, now, "patch", (), ())

    assert len(log.data) == 13
    assert log.data[-1] == "and 89 more"
