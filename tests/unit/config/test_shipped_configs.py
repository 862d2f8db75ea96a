"""Every settings file that ships loads, and is named in configs/README.md."""

from pathlib import Path

import pytest
import yaml

import raypipe
from raypipe.config.load import load
from raypipe.stages import STAGES

CONFIGS = Path(raypipe.__file__).parent.parent / "configs"
SHIPPED = sorted(CONFIGS.rglob("*.yaml"))


def test_there_is_something_to_start_from():
    assert CONFIGS / "flights.yaml" in SHIPPED


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_a_shipped_file_loads(file):
    load(file)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_a_shipped_file_has_its_sections_in_the_order_of_a_run(file):
    sections = [key for key in yaml.safe_load(file.read_text()) if key in STAGES]
    assert sections == [stage for stage in STAGES if stage in sections]


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_a_shipped_file_is_explained(file):
    assert str(file.relative_to(CONFIGS)) in (CONFIGS / "README.md").read_text()


def test_flights_in_lakefs_are_the_same_cycle_on_other_data():
    local, lakefs = (load(CONFIGS / name) for name in ("flights.yaml", "flights-lakefs.yaml"))
    assert local.data.dataset != lakefs.data.dataset
    there = lakefs.data.model_copy(update={"dataset": local.data.dataset})
    assert lakefs.model_copy(update={"data": there}) == local


@pytest.mark.parametrize(
    ("line", "sets"),
    [
        ("- {kind: hashing, columns: flight, buckets: 512}", ()),
        ("- {kind: frequency, columns: tailnum}", ()),
        ("weight: seats", ()),
        ("class_weights: balanced", ()),
        ("feed: stream", ("tuning.space={}",)),
        ("workers: {count: 2}", ()),
        ("preprocessing.groups.1.log: {choices: [true, false]}", ()),
        ("learn_from: earlier", ()),
        ("edge_cases: {snow: {failed: {at_most: 20}}}", ()),
        ("severities: {unseen_category: stop}", ()),
        ("deepchecks: off", ()),
    ],
)
def test_what_flights_shows_commented_out_can_be_set(line, sets, tmp_path):
    text = (CONFIGS / "flights.yaml").read_text()
    assert text.count(f"# {line}") == 1
    (tmp_path / "mine.yaml").write_text(text.replace(f"# {line}", line))
    assert load(tmp_path / "mine.yaml", sets) != load(CONFIGS / "flights.yaml", sets)
