"""Faults of label and splits: seen where they are, named with share, examples and what allows them.

Each is looked for as a run does it, from tables to anomalies, in damaged rows, in good ones, and in
so few that chance explains what is seen. What is said to allow it is tried.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
import yaml

from raypipe.config.data import ColumnSplit, DataConfig
from raypipe.config.validation import ValidationConfig
from raypipe.stages.data.profiling import profile_splits
from raypipe.stages.validation.checks import check
from raypipe.stages.validation.inference import infer_schema
from raypipe.stages.validation.search import Rows, search
from raypipe.values.profile import SplitProfiles
from raypipe.values.traces import trace_table
from raypipe.values.validation import Anomaly

MANY, FEW = 1_000, 12
NAMES = np.array(["train", "validation", "analysis"])
Columns = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A way in which rows go bad, and how it must be named."""

    kind: str
    column: str
    damage: Callable[[Columns], Columns]
    share: float
    example: str
    """Stands in the examples, and in what is said."""
    groups: tuple[str, ...] = ()
    fresh: bool = False
    """Found in new rows, beside those accepted before."""
    few: int = FEW
    """Rows in which chance explains it."""
    certain: bool = False
    """No matter of chance: it is named in however few rows."""


def good(count: int, seed: int = 0) -> Columns:
    """Rows without a fault, in the order of their times; half of them are for training."""
    random = np.random.default_rng(seed)
    numbers = np.arange(count)
    parts = count // 2, count - count // 4
    begin = datetime(2024, 1, 1)
    return {
        "id": numbers + 10_000 * seed,
        "at": np.array([begin + timedelta(hours=int(n)) for n in numbers], "datetime64[us]"),
        "wind": random.normal(size=count),
        "carrier": random.choice(["AA", "BB"], count),
        "status": random.choice(["ready", "held"], count),
        "who": np.array([f"p{seed}-{n // 2}" for n in numbers]),
        "late": np.where(random.random(count) < 0.4, "yes", "no"),
        "split": NAMES[np.searchsorted(parts, numbers, side="right")],
    }


def lopsided(rows: Columns) -> Columns:
    return {**rows, "late": np.where(np.arange(len(rows["id"])) == 1, "never", "always")}


def leaked(rows: Columns) -> Columns:
    return {**rows, "status": np.where(rows["late"] == "yes", "delayed", "on time")}


def dominated(rows: Columns) -> Columns:
    return {**rows, "late": np.where(rows["carrier"] == "BB", "yes", rows["late"])}


def contradicted(rows: Columns) -> Columns:
    """One row in ten says what the one before it says, and has the other label."""
    again = np.arange(1, len(rows["id"]), 10)
    changed = {name: values.copy() for name, values in rows.items()}
    for name in ("wind", "carrier", "status", "who"):
        changed[name][again] = rows[name][again - 1]
    changed["late"][again] = np.where(rows["late"][again - 1] == "yes", "no", "yes")
    return changed


def torn_group(rows: Columns) -> Columns:
    """The first rows of the analysis split are of the first groups of the train split."""
    sealed = np.flatnonzero(rows["split"] == "analysis")[: max(1, len(rows["id"]) // 10)]
    who = rows["who"].copy()
    who[sealed] = rows["who"][: len(sealed)]
    return {**rows, "who": who}


def time_travelled(rows: Columns) -> Columns:
    """Some rows for training lie after those that they are judged by."""
    split = rows["split"].copy()
    split[-len(split) // 50 :] = "train"
    return {**rows, "split": split}


FAULTS = (
    Fault(
        kind="imbalance", column="late", damage=lopsided, share=1 / 500, example="never", few=120
    ),
    Fault(
        kind="target_leakage", column="status", damage=leaked, share=1.0, example="delayed", few=60
    ),
    Fault(
        kind="dominance",
        column="carrier",
        damage=dominated,
        share=1.0,
        example="BB",
        fresh=True,
        few=30,
    ),
    Fault(
        kind="conflicting_labels",
        column="late",
        damage=contradicted,
        share=0.2,
        example="new.parquet row",
        certain=True,
    ),
    Fault(
        kind="group_leakage",
        column="who",
        damage=torn_group,
        share=100 / 500,
        example="new.parquet row 751",
        groups=("who",),
        certain=True,
    ),
    Fault(
        kind="time_leakage",
        column="at",
        damage=time_travelled,
        share=20 / 1_000,
        example="new.parquet row 981",
    ),
)
OF_KIND = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind)


def anomalies(
    new: Columns, fault: Fault, settings: ValidationConfig | None = None
) -> list[Anomaly]:
    """Look at new rows, and beside accepted ones where the fault is one of new rows."""
    settings = settings or ValidationConfig()
    data = DataConfig(
        dataset="local://r/main",
        label="late",
        key=("id",),
        time="at",
        groups=fault.groups,
        split=ColumnSplit(column="split"),
    )
    before = good(MANY, seed=1)
    tables = {"new.parquet": pa.table(new)}
    if fault.fresh:
        tables["before.parquet"] = pa.table(before)
    made = {name: profile_splits(table, data.split, data.key) for name, table in tables.items()}
    profiles = SplitProfiles.merge_all(list(made.values()))
    traces = [trace_table(table, data) for table in tables.values()]
    rows = Rows(paths=list(tables), traces=traces)
    alike = settings.duplicates
    searched = search(rows, profiles.all, data, alike, lambda *where: "") if alike else ()
    both = fault.fresh
    return list(
        check(
            profiles,
            infer_schema("test", profiles.all, data, settings),
            settings,
            fresh=made["new.parquet"] if both else None,
            baseline=made["before.parquet"] if both else None,
            searched=searched,
            split=data.split,
        ).anomalies
    )


def of_kind(found: list[Anomaly], fault: Fault) -> list[Anomaly]:
    return [one for one in found if one.kind == fault.kind]


def settings_of(allow: str) -> list[ValidationConfig]:
    """Return the settings that are said to allow something: `validation.a.b: c, or …`."""
    made = []
    for part in allow.split(", or "):
        name, colon, value = part.partition(": ")
        if not colon or not name.startswith("validation."):
            continue  # another split of the data
        tree = yaml.safe_load(value)
        for key in reversed(name.removeprefix("validation.").split(".")):
            tree = {key: tree}
        made.append(ValidationConfig.model_validate(tree))
    return made


@OF_KIND
def test_a_fault_is_named_with_share_and_examples(fault):
    (one,) = of_kind(anomalies(fault.damage(good(MANY)), fault), fault)
    assert one.column == fault.column
    assert one.share == pytest.approx(fault.share, abs=0.03)
    assert any(fault.example in example for example in one.examples)
    assert fault.example in one.message or one.examples[0] in one.message
    assert one.message.startswith(f"{fault.column}: ")


@OF_KIND
def test_what_is_said_to_allow_a_fault_does(fault):
    rows = fault.damage(good(MANY))
    (one,) = of_kind(anomalies(rows, fault), fault)
    settings = settings_of(one.allow)
    assert settings
    for allowing in settings:
        left = of_kind(anomalies(rows, fault, allowing), fault)
        assert [again.severity for again in left] == (["warn"] if one.severity == "stop" else [])


@OF_KIND
@pytest.mark.parametrize("seed", range(2, 4))
def test_rows_without_a_fault_raise_no_alarm(fault, seed):
    assert anomalies(good(MANY, seed), fault) == []


@pytest.mark.parametrize(
    "fault", [one for one in FAULTS if not one.certain], ids=lambda fault: fault.kind
)
def test_so_few_rows_that_chance_explains_it_raise_no_alarm(fault):
    assert of_kind(anomalies(fault.damage(good(fault.few, seed=2)), fault), fault) == []


def test_few_rows_of_few_values_contradict_by_chance_and_not_by_fault():
    (fault,) = (one for one in FAULTS if one.kind == "conflicting_labels")
    rows = {**good(FEW), "wind": np.arange(FEW) % 2, "who": np.array(["p"] * FEW)}
    assert of_kind(anomalies(rows, fault), fault) == []


@pytest.mark.parametrize(
    "fault", [one for one in FAULTS if one.certain], ids=lambda fault: fault.kind
)
def test_what_is_certain_is_named_in_few_rows_too(fault):
    assert of_kind(anomalies(fault.damage(good(FEW)), fault), fault)
