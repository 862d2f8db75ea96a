"""Each table of the ledger and each name in a home has a line that says what bounds it."""

import re
from pathlib import Path

from raypipe.store.paths import HomePaths
from tests.conftest import Project

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `([^`]+)` \| \S.* \|$", re.MULTILINE)


def told(heading: str) -> set[str]:
    """Return what the page tells of under a heading."""
    page = (ROOT / "docs" / "growth.md").read_text()
    return set(ROW.findall(page.partition(f"## {heading}\n")[2].partition("\n## ")[0]))


def test_every_table_of_the_ledger_has_a_line_that_says_what_bounds_it():
    schema = (ROOT / "raypipe" / "store" / "schema.sql").read_text()
    assert told("Tables of the ledger") == set(re.findall(r"CREATE TABLE (\w+)", schema))


def test_every_name_in_a_home_has_a_line_that_says_what_bounds_it():
    named = {
        getattr(HomePaths(Path("home")), name).name
        for name, what in vars(HomePaths).items()
        if isinstance(what, property)
    }
    assert told("Names in a home") == named | {"ray_auth_token"}  # Ray's own, by runtime/on_ray.py


def test_a_run_leaves_nothing_in_a_home_that_has_no_line(project: Project):
    project.write(
        "flow.py",
        "from raypipe import pipeline, step\n\n\n@step\ndef one() -> int:\n    return 1\n\n\n"
        "@pipeline\ndef flow():\n    return {'one': one()}\n",
    )
    project.run("flow.py")
    left = {entry.name for entry in (project.folder / ".raypipe").iterdir()}
    assert left - told("Names in a home") - {"ledger.db-wal", "ledger.db-shm"} == set()


def test_every_line_names_a_rule_or_a_bound():
    page = (ROOT / "docs" / "growth.md").read_text()
    assert "no rule" not in page.lower()
    assert "without bound" not in page.lower()
