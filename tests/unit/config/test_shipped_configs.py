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
