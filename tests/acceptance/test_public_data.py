"""Public tables that nobody prepared: clean halves pass, and each damage is found by its name."""

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from raypipe.app.data import import_files
from raypipe.config.data import DataConfig
from raypipe.config.validation import ValidationConfig
from raypipe.errors import ValidationStopped
from raypipe.stages.data import merge_profiles, profile_shard
from raypipe.stages.validation import search_rows, trace_shard, validate
from raypipe.stages.validation.inference import infer_schema
from raypipe.values.dataset import Shard
from raypipe.values.validation import Validation
from tests.damages import DAMAGES
from tests.public_data import TABLES, Public, public

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

LEAST = 4
"""Tables that each damage must be found in; some need columns that few tables have."""
RARE = {"time_travel": 3, "near_texts": 1, "shifted_code": 3, "dominated_slice": 2}
SETTINGS = ValidationConfig()


def looked_at(table: Public, folder: Path, seen: ValidationConfig = SETTINGS) -> Validation:
    """Profile, trace and validate both halves as a run does, from files."""
    shards, data = [], table.data
    for name, rows in (("first", table.first), ("second", table.second)):
        file = folder / f"{name}.parquet"
        pq.write_table(rows, file)
        location = file.as_uri()
        shards.append(Shard(path=file.name, object_id=f"blake2b:{name}", size=1, location=location))
    profiles = [profile_shard(shard, data.split, data.key) for shard in shards]
    both = merge_profiles(profiles)
    traces = [trace_shard(shard, data, seen.duplicates) for shard in shards]
    searched = search_rows(traces, shards, both, data, seen.duplicates)
    schema = infer_schema(table.name, profiles[0].all, data, seen)
    old, new = profiles
    return validate(both, schema, data, seen, fresh=new, baseline=old, searched=searched)


@pytest.mark.parametrize("read", TABLES, ids=lambda read: read.__name__)
def test_undamaged_halves_raise_no_alarm(read, tmp_path):
    for seed in range(2):
        validation = looked_at(public(read, seed), tmp_path)
        assert [one.message for one in validation.anomalies] == [], seed


@pytest.fixture(scope="module")
def matrix(tmp_path_factory) -> dict[tuple[str, str], bool]:
    """Whether each damage of each table is found under its name; printed as a table."""
    folder = tmp_path_factory.mktemp("damaged")
    found: dict[tuple[str, str], bool] = {}
    for read in TABLES:
        table = public(read)
        for damage in DAMAGES:
            if (damaged := damage(table)) is None:
                continue
            said = looked_at(damaged.table, folder).anomalies
            names = [(one.kind, one.column) for one in said]
            found[read.__name__, damage.__name__] = (damaged.kind, damaged.column) in names
    width = max(len(damage.__name__) for damage in DAMAGES)
    lines = [f"{'':{width}} " + " ".join(f"{read.__name__[:9]:9}" for read in TABLES)]
    for damage in DAMAGES:
        cells = [found.get((read.__name__, damage.__name__)) for read in TABLES]
        marks = [{None: "-", True: "found", False: "MISSED"}[cell] for cell in cells]
        lines.append(f"{damage.__name__:{width}} " + " ".join(f"{mark:9}" for mark in marks))
    sys.stdout.write("\n" + "\n".join(lines) + "\n")
    return found


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damage_is_found_under_its_name_wherever_it_can_be_done(damage, matrix):
    own = {table: hit for (table, name), hit in matrix.items() if name == damage.__name__}
    assert [table for table, hit in own.items() if not hit] == []
    assert len(own) >= RARE.get(damage.__name__, LEAST)


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(read, marks=[pytest.mark.long] if number else [])
        for number, read in enumerate(TABLES[:4])
    ],
    ids=lambda read: read.__name__,
)
def test_halves_are_imported_one_after_the_other_and_a_damaged_one_is_not(read, tmp_path):
    """The command's own way: on a branch, held against the schema, merged or not."""
    table = public(read)
    file = tmp_path / "settings.yaml"
    file.write_text(as_settings(table.data, numbers(table)))
    for name, rows in (("first", table.first), ("second", table.second)):
        pq.write_table(rows, tmp_path / f"{name}.parquet")
        done = import_files(
            [tmp_path / f"{name}.parquet"], table.data.dataset, config=file, home=tmp_path / "home"
        )
        said = done["validation"]
        assert (said["verdict"], said["anomalies"]) == ("pass", [])
    again = table.second.drop_columns(numbers(table)[0])
    pq.write_table(again, tmp_path / "third.parquet")
    with pytest.raises(ValidationStopped, match="the column is missing"):
        import_files(
            [tmp_path / "third.parquet"], table.data.dataset, config=file, home=tmp_path / "home"
        )


def numbers(table: Public) -> list[str]:
    own = {table.data.label, *table.data.key}
    return [f.name for f in table.first.schema if str(f.type) == "double" and f.name not in own]


def as_settings(data: DataConfig, columns: list[str]) -> str:
    group = json.dumps({"kind": "numeric", "columns": columns})
    task = "regression" if data.dataset.startswith("local://diabetes") else "multiclass"
    task = "binary" if data.dataset.startswith("local://cancer") else task
    written = json.dumps(data.model_dump(mode="json", exclude={"groups"}))
    return f"name: public\ndata: {written}\npreprocessing:\n  groups: [{group}]\n" + (
        f"training: {{task: {task}}}\n"
    )
