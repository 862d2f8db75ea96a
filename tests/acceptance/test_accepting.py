"""`--accept KIND:COLUMN --why TEXT`: what a person expects passes by its name, and nothing else."""

import html
import re
from getpass import getuser
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.acceptance import tiny
from tests.conftest import Project, Said

WHY = "the new carrier flies since May"
EXPECTED = ("--accept", "unseen_category:carrier", "--why", WHY, "--by", "ada")


def stopping(project: Project) -> Project:
    severities = "  severities: {unseen_category: stop, range: stop}\n"
    project.edit("tiny.yaml", "validation:\n", f"validation:\n{severities}")
    return project


@pytest.fixture
def strict(imported: Project) -> Project:
    """The tiny project, where new categories and values out of range stop."""
    return stopping(imported)


@pytest.fixture
def running(trained: Project) -> Project:
    """The same after a run, which wrote a schema."""
    return stopping(trained)


def new_carrier(project: Project, *, far: bool = False) -> str:
    """Write a file of another month, in which one carrier is new; perhaps with ways too far."""
    table = tiny.rows(60)
    some = pc.and_(pc.equal(table["carrier"], "AA"), pc.less(table["miles"], 1_000))
    known = pc.if_else(some, "DD", table["carrier"])
    table = table.set_column(table.schema.get_field_index("carrier"), "carrier", known)
    if far:
        miles = pc.if_else(pc.equal(table["carrier"], "BB"), 9_000.0, table["miles"])
        table = table.set_column(table.schema.get_field_index("miles"), "miles", miles)
    return tiny.write_shard(project, "part3", table)


def bring(project: Project, file: str, *more: str) -> Said:
    to = ("--to", "local://tiny/main", "--config", "tiny.yaml", "--json")
    return project.raypipe("data", "import", file, *to, *more)


def unseen(project: Project, file: str) -> None:
    """Bring a file in without settings, so that nothing looks at it before a run does."""
    said = project.raypipe("data", "import", file, "--to", "local://tiny/main")
    assert said.code == 0, said.err


def commits(project: Project) -> list[dict]:
    return project.raypipe("data", "log", "local://tiny/main", "--json").result["commits"]


def newest(project: Project, pipeline: str) -> dict:
    """Return the newest run of a pipeline, as `runs show` says it."""
    runs = project.raypipe("runs", "list", "--pipeline", pipeline, "--json").result["runs"]
    return project.raypipe("runs", "show", runs[0]["id"], "--json").result["run"]


def text_of(page: str) -> str:
    """Return what a page says, without its marks."""
    return html.unescape(re.sub("<[^>]+>", "", Path(page).read_text()))


# --- what is expected passes, and is found again --------------------------------------------------


def test_an_import_takes_what_is_expected_and_keeps_who_expected_it_and_why(strict):
    file, before = new_carrier(strict), commits(strict)
    refused = bring(strict, file)
    assert refused.code == 4
    assert "--accept unseen_category:carrier --why TEXT" in refused.err
    assert commits(strict) == before

    said = bring(strict, file, *EXPECTED)
    assert said.code == 0, said.err
    (told,) = said.result["import"]["validation"]["accepted"]
    assert told.startswith("carrier: ")
    assert told.endswith(f"(ada: {WHY})")
    assert len(commits(strict)) == len(before) + 1
    # And later on, of commit, run and report:
    assert commits(strict)[0]["meta"]["accept unseen_category:carrier"] == f"ada: {WHY}"
    log = strict.raypipe("data", "log", "local://tiny/main")
    assert f"accept unseen_category:carrier (ada: {WHY})" in log.out
    shown = strict.raypipe("runs", "show", newest(strict, "tiny.import")["id"])
    assert f"accept unseen_category:carrier: ada: {WHY}" in shown.out
    assert f"Expected by ada: {WHY}" in text_of(said.result["import"]["validation"]["report"])


def test_a_run_takes_what_is_expected_and_keeps_who_expected_it_and_why(running):
    unseen(running, new_carrier(running))
    refused = tiny.run(running)
    assert refused.code == 4
    assert "--accept unseen_category:carrier --why TEXT" in refused.result["error"]["hint"]

    said = tiny.run(running, *EXPECTED)
    assert said.result["status"] == "waiting", said.err
    (told,) = newest(running, "tiny")["settings"]["validation"]["accept"]
    assert told == {"what": "unseen_category:carrier", "by": "ada", "why": WHY}
    assert f"Expected by ada: {WHY}" in text_of(said.result["pages"]["report_data"])
    shown = running.raypipe("runs", "show", said.result["run"])
    assert WHY in shown.out


def test_who_accepts_is_the_user_where_nobody_is_named(strict):
    said = bring(strict, new_carrier(strict), *EXPECTED[:-2])
    (told,) = said.result["import"]["validation"]["accepted"]
    assert told.endswith(f"({getuser()}: {WHY})")
    kept = commits(strict)[0]["meta"]["accept unseen_category:carrier"]
    assert kept == f"{getuser()}: {WHY}"


def test_what_was_expected_once_is_not_expected_of_the_next_file(strict):
    assert bring(strict, new_carrier(strict), *EXPECTED).code == 0
    table = tiny.rows(80)
    other = pa.array(["EE"] * 40 + table["carrier"].to_pylist()[40:])
    table = table.set_column(table.schema.get_field_index("carrier"), "carrier", other)
    assert bring(strict, tiny.write_shard(strict, "part4", table)).code == 4


# --- and nothing else -----------------------------------------------------------------------------


def test_another_anomaly_stops_an_import_all_the_same(strict):
    file, before = new_carrier(strict, far=True), commits(strict)
    said = bring(strict, file, *EXPECTED)
    assert said.code == 4
    assert "one thing stops" in said.err
    assert "miles: " in said.err
    assert "carrier: " not in said.err
    assert "--accept range:miles --why TEXT" in said.err
    assert commits(strict) == before

    both = bring(strict, file, *EXPECTED, "--accept", "range:miles")
    assert both.code == 0, both.err
    assert len(both.result["import"]["validation"]["accepted"]) == 2


@pytest.mark.long
def test_another_anomaly_stops_a_run_all_the_same(running):
    unseen(running, new_carrier(running, far=True))
    said = tiny.run(running, *EXPECTED)
    assert said.code == 4
    assert "one thing stops" in said.result["error"]["message"]
    assert "miles: " in said.result["error"]["message"]
    assert said.result["status"] == "failed"
    assert tiny.run(running, *EXPECTED, "--accept", "range:miles").result["status"] == "waiting"


# --- slips ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["import", pytest.param("run", marks=pytest.mark.long)])
def test_a_slip_is_told_with_what_there_is(command, request):
    project = request.getfixturevalue({"import": "strict", "run": "running"}[command])
    file = new_carrier(project)
    if command == "run":
        unseen(project, file)

    def accepting(*more: str) -> Said:
        return bring(project, file, *more) if command == "import" else tiny.run(project, *more)

    # In the kind, which is known beforehand:
    said = accepting("--accept", "unsen_category:carrier", "--why", WHY)
    assert said.code == 2
    error = said.result["error"]["message"]
    assert error.startswith("--accept 'unsen_category:carrier' names no kind of anomaly")
    assert error.endswith("did you mean 'unseen_category'?")

    # In the column: what was found is known when it was looked for.
    said = accepting("--accept", "unseen_category:carier", "--why", WHY)
    assert said.code == 4
    slip = "--accept unseen_category:carier is nothing that was found"
    assert f"{slip}; did you mean 'unseen_category:carrier'?" in said.out

    # What is not there is told though nothing stops.
    said = accepting(*EXPECTED, "--accept", "range:wind")
    assert said.code == 0, said.err
    (told,) = (line for line in said.out.splitlines() if "nothing that was found" in line)
    assert "--accept range:wind is nothing that was found; there is " in told
    assert "unseen_category:carrier" in told


def test_what_is_no_name_or_has_no_reason_is_refused_before_anything_is_done(strict):
    before = commits(strict)
    file = new_carrier(strict)
    refused = {
        ("--accept", "unseen_category:carrier"): "does not say why",
        ("--accept", "Carrier!", "--why", WHY): "names no change",
        ("--accept", "deepchecks:FeatureDrit", "--why", WHY): "did you mean 'FeatureDrift'?",
    }
    for more, told in refused.items():
        said = bring(strict, file, *more)
        assert said.code == 2
        assert told in said.result["error"]["message"]
    assert commits(strict) == before
