"""Bad input gets a sentence with the next step and its exit code, and loses nothing."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.acceptance import tiny
from tests.conftest import Project, Said

STORED = ("results", "reviews", "model_versions", "aliases", "looks")

FLOW = """
from raypipe import pipeline, step


def divide(x):
    return 1 // x


@step
def given() -> int:
    return 0


@step
def boom(x: int) -> int:
    return divide(x)


@step
def odd(x: int):
    return open(__file__)


@pipeline
def breaks(start: int = 0):
    return boom(given())


@pipeline
def hands():
    return boom(open)


@pipeline
def leaks():
    return odd(given())
"""


RESULTS = "ledger.db:results"


def kept(project: Project) -> dict[str, Any]:
    """Return what a home keeps, but for its runs, whose list tells of those that failed too."""
    home = project.folder / ".raypipe"
    found: dict[str, Any] = {
        str(path.relative_to(home)): path.stat().st_size
        for part in ("artifacts", "schemas", "versions/objects")
        for path in sorted((home / part).rglob("*"))
        if path.is_file()
    }
    for database in sorted(home.rglob("*.db")):
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as db:
            tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master") if row[0]]
            for table in tables:
                if database.name != "ledger.db" or table in STORED:
                    rows = db.execute(f"SELECT * FROM {table}") if is_table(db, table) else ()
                    found[f"{database.name}:{table}"] = sorted(map(repr, rows))
    return found


def is_table(db: sqlite3.Connection, name: str) -> bool:
    """Say whether a name of the database is a table's, no index's."""
    return bool(db.execute("SELECT 1 FROM pragma_table_info(?)", (name,)).fetchone())


def refused(said: Said, code: int, *words: str) -> None:
    """Require a sentence with a next step and an exit code, and no traceback."""
    assert said.code == code, said.err + said.out
    for word in words:
        assert word in said.err
    assert "\n→ " in said.err or "did you mean" in said.err
    assert "Traceback" not in said.err
    assert "raypipe/engine" not in said.err


@dataclass(frozen=True)
class Case:
    """A command that cannot be carried out."""

    command: str
    code: int
    words: tuple[str, ...]
    prepare: Callable[[Project], object] = lambda project: None


def truncated(project: Project) -> None:
    """Cut a Parquet file in half."""
    whole = (project.folder / "incoming" / "part1.parquet").read_bytes()
    (project.folder / "torn.parquet").write_bytes(whole[: len(whole) // 2])


def constant(project: Project) -> None:
    """Import rows whose label is always the same, and have them profiled."""
    table = tiny.rows(100)
    late = table.schema.get_field_index("late")
    same = table.set_column(late, "late", pa.array([True] * table.num_rows))
    file = tiny.write_shard(project, "same", same)
    assert project.raypipe("data", "import", file, "--to", "local://same/main").code == 0
    project.raypipe(*CONSTANT.split())


IMPORT = "--to local://tiny/main --config tiny.yaml"
RUN = "run tiny.yaml --runtime inline"
CONSTANT = f"{RUN} --set data.dataset=local://same/main --set name=same"

CASES = {
    "no such settings file": Case("run tiy.yaml", 9, ("'tiy.yaml'", "'tiny.yaml'")),
    "no such script": Case("run nothing.py", 9, ("'nothing.py'",)),
    "no such file to import": Case(f"data import nix.parquet {IMPORT}", 9, ("nix.parquet",)),
    "YAML that does not parse": Case(
        "run bad.yaml", 2, ("line 2",), lambda p: p.write("bad.yaml", "a: [1\n")
    ),
    "an unknown key": Case(
        "run typo.yaml",
        2,
        ("training.epoks", "did you mean 'epochs'?"),
        lambda p: p.write("typo.yaml", tiny.SETTINGS.replace("epochs", "epoks")),
    ),
    "a setting out of range": Case(
        f"{RUN} --set training.epochs=0", 2, ("training.epochs is 0", "at least 1")
    ),
    "a dataset that does not exist": Case(
        f"{RUN} --set data.dataset=local://tinny/main", 9, ("'tinny'", "tiny")
    ),
    "a ref that does not exist": Case(
        f"{RUN} --set data.dataset=local://tiny/mian", 9, ("'mian'", "main")
    ),
    "a missing target": Case(
        f"{RUN} --set data.label=lat", 2, ("'lat'", "'late'"),
    ),
    "a target that is none": Case(
        f"{RUN} --set data.label=number", 2, ("'number'", "distinct values")
    ),
    "a constant target": Case(
        CONSTANT, 4, ("late", "constant_label"), constant
    ),
    "an empty file": Case(
        f"data import empty.parquet {IMPORT}",
        2,
        ("empty.parquet", "no bytes"),
        lambda p: p.write("empty.parquet", ""),
    ),
    "a truncated file": Case(f"data import torn.parquet {IMPORT}", 2, ("torn.parquet",), truncated),
    "a home that is a file": Case(f"{RUN} --home tiny.yaml", 7, ("tiny.yaml",)),
    "a home below a file": Case("run flow.py:breaks --home tiny.yaml/x", 7, ("tiny.yaml",)),
    "a home in a folder that has other things": Case(
        "run flow.py:breaks --home incoming", 7, ("is not empty", "incoming/.raypipe")
    ),
    "no cluster at an address": Case(
        "run flow.py:breaks --address 127.0.0.1:1", 8, ("127.0.0.1:1", "ray start")
    ),
    "a model that does not exist": Case("models show tny", 9, ("'tny'",)),
    "a version that does not exist": Case(
        "score tiny@1.0.9 incoming/part1.parquet", 9, ("'1.0.9'", "'1.0.0'")
    ),
    "a file to score that does not exist": Case("score tiny nix.parquet", 9, ("nix.parquet",)),
    "a reference without its module": Case(
        f"{RUN} --set training.model.build=my_modl:build", 2, ("my_modl",)
    ),
    "a reference without its name": Case(
        f"{RUN} --set training.model.build=my_model:bild", 2, ("bild", "'build'")
    ),
    "a function without its name": Case(
        f"{RUN} --set preprocessing.groups.2.function=my_features:ad", 2, ("'ad'", "'add'")
    ),
    "a pipeline that does not exist": Case("run flow.py:braks", 9, ("'braks'", "'breaks'")),
    "several pipelines": Case("run flow.py", 2, ("3 pipelines", "flow.py:breaks")),
    "a parameter that does not exist": Case(
        "run flow.py:breaks --set strat=1", 2, ("'strat'", "'start'")
    ),
    "a parameter of another type": Case(
        "run flow.py:breaks --set start=x", 2, ("start", "int")
    ),
    "a step that does not exist": Case("why bom flow.py:breaks", 9, ("'bom'", "'boom'")),
    "a review that does not exist": Case("review approve nix --by ada", 9, ("nix",)),
    "a home that is not there": Case("runs list --home nowhere", 9, ("nowhere",)),
    "a review that nobody decides": Case("review approve nix --by ", 2, ("by somebody",)),
    "answers into no folder": Case(
        "score tiny incoming/part1.parquet --out nowhere/a.csv", 2, ("'nowhere'",)
    ),
    "answers of no kind": Case(
        "score tiny incoming/part1.parquet --out a.xlsx", 2, (".parquet nor .csv",)
    ),
    "a version without its name": Case("score tiny@ incoming/part1.parquet", 2, ("tiny@1.0.0",)),
    "a script with the name of a module": Case(
        "run time.py", 2, ("time.py", "'time'"), lambda p: p.write("time.py", FLOW)
    ),
    "a folder for a script": Case("run incoming", 2, ("names a folder",)),
    "a script with a slash": Case("run flow.py/", 2, ("names a folder",)),
    "a script that ends the process": Case(
        "run ends.py", 2, ("SystemExit(3)", "__main__"),
        lambda p: p.write("ends.py", "import sys\nsys.exit(3)\n"),
    ),
    "a value that cannot be kept": Case(
        "run flow.py:hands", 2, ("step 'boom', parameter 'x'", "what cannot be kept")
    ),
    "a server that is not named": Case(
        f"{RUN} --set data.dataset=lakefs://tiny/main", 7, ("LAKECTL_SERVER_ENDPOINT_URL",)
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused_and_loses_nothing(registered: Project, case: str) -> None:
    project, asked = registered, CASES[case]
    project.write("flow.py", FLOW)
    asked.prepare(project)
    if "data.label" in asked.command:  # else the schema, which knows the label, speaks first
        (project.folder / ".raypipe" / "schemas" / "tiny.yaml").unlink()
    before = kept(project)

    said = project.raypipe(*asked.command.split(" "))

    refused(said, asked.code, *asked.words)
    after = kept(project)
    made = len(after[RESULTS]) - len(before[RESULTS])
    assert set(before[RESULTS]) <= set(after[RESULTS])
    others = before.keys() - {RESULTS}
    assert {name: after.get(name) for name in others} == {name: before[name] for name in others}
    # the code of a run that came as far as a step, and what steps before the refusal made
    assert len(after) - len(before) <= 1 + 4 * made
    as_json = project.raypipe(*asked.command.split(" "), "--json")
    last = json.loads(as_json.out.splitlines()[-1])
    assert (last["event"], last["error"]["exit"]) == ("result", asked.code)
    assert last["error"]["message"]


def test_a_step_that_raises_shows_its_own_frames(registered: Project) -> None:
    project = registered
    project.write("flow.py", FLOW)

    said = project.raypipe("run", "flow.py:breaks")

    assert said.code == 6
    assert "ZeroDivisionError" in said.err
    assert "return 1 // x" in said.err
    assert "return divide(x)" in said.err
    assert "raypipe/runtime" not in said.err
    assert "Traceback" not in said.err
    assert project.raypipe("run", "flow.py:breaks", "--json").actions["given"] == "hit"


def test_an_output_that_cannot_be_kept_names_step_and_type(registered: Project) -> None:
    project = registered
    project.write("flow.py", FLOW)

    said = project.raypipe("run", "flow.py:leaks")

    refused(said, 6, "'odd'", "TextIOWrapper")


def test_a_home_on_a_full_or_locked_disk_is_told(imported: Project, tmp_path: Path) -> None:
    """The superuser may write anywhere but on what is mounted for reading alone."""
    project = imported
    said = project.raypipe("run", "tiny.yaml", "--home", "/proc/raypipe", "--runtime", "inline")
    assert said.code in {7, 9}
    project.write("flow.py", FLOW)
    refused(project.raypipe("run", "flow.py:breaks", "--home", "/proc/raypipe"), 7, "/proc/raypipe")
