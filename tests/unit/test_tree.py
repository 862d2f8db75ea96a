"""Stages, settings, folders and shipped files agree, and the layers hold."""

import ast
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import raypipe
from raypipe.config.cycle import CycleConfig
from raypipe.stages import STAGES

PACKAGE = Path(raypipe.__file__).parent
ROOT = PACKAGE.parent
AROUND = {"name", "imports", "runtime", "store", "notify", "track"}
"""Settings of a cycle that belong to no stage."""


def folders(of: Path) -> set[str]:
    return {entry.name for entry in of.iterdir() if entry.is_dir() and entry.name[0] not in "_."}


def imports_at_top(file: Path) -> Iterator[str]:
    """Yield the packages that importing a file imports: none in functions, none for types only."""
    waiting: list[ast.AST] = list(ast.parse(file.read_text()).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            waiting += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += ast.iter_child_nodes(node)


def test_each_stage_has_a_folder_and_each_folder_is_a_stage():
    assert folders(PACKAGE / "stages") == set(STAGES)


def test_each_stage_has_its_section_of_settings_in_the_order_of_a_run():
    sections = [name for name in CycleConfig.model_fields if name not in AROUND]
    assert sections == list(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_a_module_of_settings_of_its_name(stage):
    model = CycleConfig.model_fields[stage].annotation
    assert model is not None
    assert model.__module__ == f"raypipe.config.{stage}"


@pytest.mark.parametrize("stage", STAGES)
def test_no_module_of_a_stage_has_the_name_of_what_the_stage_gives(stage):
    """Else the first import of the module takes the place of a step of that name."""
    package = importlib.import_module(f"raypipe.stages.{stage}")
    modules = {one.stem for one in (PACKAGE / "stages" / stage).iterdir()}
    assert not modules & {*vars(package).get("__all__", ())}


@pytest.mark.parametrize(
    "file", sorted((PACKAGE / "stages").rglob("*.py")), ids=lambda file: "/".join(file.parts[-2:])
)
def test_no_stage_imports_torch_or_ray_at_module_level(file):
    if file.name != "on_ray.py":
        assert not {"torch", "ray"} & set(imports_at_top(file))


def test_planning_needs_neither_ray_nor_torch_nor_pyarrow():
    """What `raypipe plan` imports before it looks at a target."""
    asks = (
        "import sys, raypipe.app.run, raypipe.app.prepare, raypipe.app.cycle; "
        "print(sorted({'ray', 'torch', 'pyarrow', 'altair'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_imports_point_down_the_layers():
    """The contracts in pyproject.toml, which `scripts/check` looks at too."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as c; c()",
            "--no-cache",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("folder", sorted(folders(ROOT / "tests" / "unit") - {"scripts"}))
def test_unit_tests_mirror_the_package(folder):
    tested = {file.stem.removeprefix("test_") for file in unit_tests(folder)}
    there = {file.stem for file in (PACKAGE / folder).rglob("*.py")}
    there |= {entry.name for entry in (PACKAGE / folder).rglob("*") if entry.is_dir()}
    assert tested - there - {"shipped_configs", "protocol", "interleavings", "map"} == set()


def unit_tests(folder: str) -> Iterator[Path]:
    return (ROOT / "tests" / "unit" / folder).rglob("test_*.py")


COMMANDS = [ROOT / "scripts" / name for name in ("quickstart", "test", "check", "bench", "lakefs")]
SHELL = [ROOT / ".ci/run", *COMMANDS]
DRIVERS = [ROOT / "scripts" / name for name in ("run_cycle.py", "submit_cycle.py")]


@pytest.mark.parametrize("file", [*SHELL, ROOT / "scripts/_env.sh"], ids=lambda file: file.name)
def test_a_script_parses(file):
    subprocess.run(["bash", "-n", file], check=True)


@pytest.mark.parametrize("file", [*SHELL, *DRIVERS], ids=lambda file: file.name)
def test_a_script_is_executable(file):
    assert os.access(file, os.X_OK)


@pytest.mark.parametrize("file", [*COMMANDS, *DRIVERS], ids=lambda file: file.name)
def test_a_script_says_what_it_is_for(file):
    command = [sys.executable, file] if file in DRIVERS else [file]
    done = subprocess.run([*command, "--help"], check=True, capture_output=True, text=True)
    assert len(done.stdout) > 40
    assert not done.stderr


@pytest.mark.parametrize("file", DRIVERS, ids=lambda file: file.name)
def test_a_driver_ends_with_a_sentence_and_the_exit_code_of_what_is_wrong(file, tmp_path):
    done = subprocess.run(
        [sys.executable, file, "none.yaml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == {"run_cycle.py": 9, "submit_cycle.py": 2}[file.name]
    assert "none.yaml" in done.stderr or "this process is no Ray job" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_public_surface_is_exactly_what_is_listed():
    assert raypipe.__all__ == sorted(raypipe.__all__)
    assert all(hasattr(raypipe, name) for name in raypipe.__all__)


def test_shards_are_opened_where_all_kinds_of_locations_are_known():
    """What opens a shard's location by pyarrow alone cannot read data in lakeFS."""
    known = {"store/locations.py", "store/artifacts.py", "stages/data/reading.py"}
    users = {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if "FileSystem.from_uri(" in file.read_text()
    }
    assert users == known
