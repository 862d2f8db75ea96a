"""Edge cases that a person keeps are asked of each later candidate, and learnt from by none."""

import re
from pathlib import Path

import pytest

from raypipe.app.edge_cases import add_edge_cases, kept_edge_cases, list_edge_cases
from raypipe.app.look import look
from raypipe.config.load import load
from raypipe.errors import UsageError
from raypipe.stages.data import dataset_at
from raypipe.store.versions import open_store
from raypipe.values.uri import parse_uri
from tests.acceptance import tiny
from tests.conftest import Project, Said
from tests.lineage import LEARN, Lineage, function_of, holds

pytestmark = pytest.mark.slow

EVIL = "<script>alert(1)</script>"
NIGHT = f"""wind,miles,carrier,late,note
0.5,300,AA,true,calm but late {EVIL}
60.0,900,CC,true,a storm
0.1,200,AA,false,calm as the first {EVIL}
"""
MORE = '{"wind": 0.25, "miles": 777.25, "carrier": "SEALED-EDGE", "late": true, "note": "new"}\n'
METRICS = {"auc", "average_precision", "log_loss", "brier", "calibration_error", "accuracy"}
AFTER = ["evaluate_edge_cases", "judge", "report", "bless"]
"""What runs again when a set changes."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny pipeline with files of edge cases beside it, and a first version without any."""
    project = Project(tmp_path_factory.mktemp("edge"))
    project.write("pyproject.toml", "[project]\nname = 'mine'\nversion = '0'\n")
    tiny.make(project)
    project.write("night.csv", NIGHT)
    project.write("more.jsonl", MORE)
    assert "evaluate_edge_cases" not in tiny.run(project).actions
    return project


def add(project: Project, file: str, name: str = "night") -> Said:
    return project.raypipe("edge-cases", "add", name, file, "--config", "tiny.yaml", "--json")


def report_of(project: Project, said: Said) -> str:
    """Return the page that a run wrote, or found."""
    workshop = look(project.folder / ".raypipe")
    (digest,) = (one["digest"] for one in said.result["steps"] if one["name"] == "report")
    page: Path = workshop.codec.decode(workshop.artifacts.read(digest), workshop.artifacts)
    return page.read_text()


@pytest.fixture(scope="module")
def first(project: Project) -> Said:
    """The first run after a set was made."""
    said = add(project, "night.csv")
    assert said.code == 0, said.err
    assert said.result["edge_cases"]["added"] == 3
    return tiny.run(project)


def test_a_later_run_evaluates_a_set_and_makes_nothing_anew_before_it(
    project: Project, first: Said
) -> None:
    assert sorted(first.executed) == sorted(AFTER)
    assert first.result["status"] == "waiting"
    review = project.raypipe("review", "list", "--json").result["reviews"][0]
    shown = project.raypipe("review", "show", review["id"], "--json")
    assert "of 3 rows fail" in shown.out

    found = project.raypipe("runs", "list", "--where", "edge.night.failed >= 1", "--json")
    assert [one["id"] for one in found.result["runs"]] == [first.result["run"]], found.err
    none = project.raypipe("runs", "list", "--where", "edge.night.failed > 3", "--json")
    assert none.result["runs"] == []


def test_runs_are_found_by_the_figures_of_their_review(project: Project, first: Said) -> None:
    review = project.raypipe("review", "list", "--json").result["reviews"][0]["id"]
    told = project.raypipe("review", "show", review, "--json").result["review"]["shown"]["metrics"]
    found = project.raypipe("runs", "list", "--where", "auc > 0 and brier > 0", "--json").result
    (one,) = (run for run in found["runs"] if run["id"] == first.result["run"])
    assert one["shown_as"] == {"auc": "analysis.auc", "brier": "analysis.brier"}
    for name, value in one["shown"].items():
        assert told[name].startswith(f"{value:.4f} (")
    assert "analysis.auc" in project.raypipe("runs", "list", "--sort", "-auc").out


def test_the_report_has_the_set_its_notes_and_nothing_that_runs(
    project: Project, first: Said
) -> None:
    page = report_of(project, first)
    assert "<h2>Edge cases</h2>" in page
    assert "night: 3 rows" in page
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_champion_is_asked_beside_the_candidate_and_runs_are_compared(
    project: Project, first: Said
) -> None:
    tiny.approve(project)
    assert tiny.run(project).result["status"] == "succeeded"
    other = tiny.run(project, "--set", "training.epochs=1", "--set", "analysis.largest_loss=9")
    page = report_of(project, other)
    section = page.partition("<h2>Edge cases</h2>")[2].partition("<h2>")[0]
    assert "champion 1.0.0" in section

    names = [first.result["run"], other.result["run"]]
    compared = project.raypipe("runs", "compare", *names, "--json").result["comparison"]
    metrics = compared["metrics"]
    for one in METRICS | {"failed"}:
        assert None not in metrics[f"evaluate_edge_cases.edge.night.{one}"]


def test_a_bound_on_a_set_counts_in_the_verdict(project: Project, first: Said) -> None:
    said = tiny.run(project, "--set", "analysis.edge_cases.night.failed.at_most=0")
    assert said.code == 5, said.err
    assert "edge.night.failed is" in said.result["error"]["message"]

    unknown = tiny.run(project, "--set", "analysis.edge_cases.fog.failed.at_most=0")
    assert unknown.code == 2
    assert "'fog', which the home does not have" in unknown.result["error"]["message"]


def test_a_recipe_that_reads_what_a_set_lacks_is_told_before_anything_runs(
    project: Project, first: Said
) -> None:
    wider = "preprocessing.groups.0.columns=[wind, miles, number]"
    plan = project.raypipe("plan", "tiny.yaml", "--set", wider, "--json")
    assert plan.code == 2
    assert "'night' have no column 'number'" in plan.result["error"]["message"]


def test_a_set_grows_by_rows_that_are_new_and_no_step_learns_from_it(
    project: Project, first: Said
) -> None:
    said = add(project, "more.jsonl")
    assert (said.code, said.result["edge_cases"]["rows"]) == (0, 4), said.err
    again = add(project, "more.jsonl")
    assert (again.result["edge_cases"]["added"], again.result["edge_cases"]["rows"]) == (0, 4)

    later = tiny.run(project)
    assert sorted(later.executed) == sorted(AFTER)
    workshop = look(project.folder / ".raypipe")
    uri = parse_uri("local://tiny/main")
    dataset = dataset_at(str(uri), open_store(uri, workshop.paths.home))
    lineage = Lineage(workshop=workshop, dataset=dataset, run=later.result["run"])
    assert lineage.unsealed() == []
    asked = lineage.results["evaluate_edge_cases"]
    sets = kept_edge_cases(workshop, load(project.folder / "tiny.yaml"))
    named = [sets, *sets, *(one.rows for one in sets)]
    digests = {workshop.codec.encode(one).digest for one in named}
    assert digests & {*asked.explanation.parameters.values()}
    for result in lineage.learning():
        assert function_of(result.step) in LEARN
        assert not digests & {*result.explanation.parameters.values()}
        assert "evaluate_edge_cases" not in lineage.ancestors(result)
        for digest in lineage.given(result).values():
            assert holds(lineage.value(digest), {"SEALED-EDGE", "777.25"}) == set()


def test_cleaning_keeps_a_set_and_without_it_nothing_is_asked(
    project: Project, first: Said
) -> None:
    shown = project.raypipe("edge-cases", "show", "night", "--json").result["edge_cases"]
    assert shown["cases"][0]["note"].startswith("calm but late")
    assert project.raypipe("clean", "--yes").code == 0
    assert project.raypipe("edge-cases", "show", "night", "--json").result["edge_cases"] == shown
    assert tiny.run(project).executed == []

    listed = project.raypipe("edge-cases", "list", "--json").result["edge_cases"]
    assert [(one["name"], one["pipeline"]) for one in listed] == [("night", "tiny")]
    assert project.raypipe("edge-cases", "remove", "night").code == 0
    assert project.raypipe("edge-cases", "show", "night").code == 9
    plan = project.raypipe("plan", "tiny.yaml", "--json")
    assert "evaluate_edge_cases" not in plan.actions


@pytest.mark.parametrize(
    ("name", "file", "text", "said"),
    [
        ("Night!", "a.csv", NIGHT, "cannot be named 'Night!'"),
        ("not", "a.csv", NIGHT, "cannot be named 'not'"),
        ("odd", "a.csv", "wind,carrier,late\n1,AA,true\n", "has no column 'miles'"),
        ("odd", "a.jsonl", '{"wind": 1, "carrier": "AA", "late": true}', "has no column 'miles'"),
        ("odd", "a.csv", "wind,miles,carrier,late\nx,1,AA,true\n", "wind"),
        ("odd", "a.csv", "wind,miles,carrier,late\n1,1,AA,perhaps\n", "late"),
        ("odd", "a.csv", "wind,miles,carrier,late\n1,1,AA,\n", "is null in 1 of 1 rows"),
        ("odd", "a.csv", "wind,miles,carrier,late\n", "has no rows"),
        ("odd", "a.txt", NIGHT, "is neither Parquet nor CSV"),
        ("odd", "a.parquet", "no parquet", "cannot be read"),
    ],
)
def test_what_cannot_be_a_set_is_told(
    project: Project, name: str, file: str, text: str, said: str
) -> None:
    path = project.write(file, text)
    home = project.folder / ".raypipe"
    with pytest.raises(UsageError, match=re.escape(said)):
        add_edge_cases(name, path, config=project.folder / "tiny.yaml", home=home)
    assert name not in {one["name"] for one in list_edge_cases(home)}


def test_the_command_tells_it_with_exit_code_2(project: Project) -> None:
    project.write("a.csv", "wind,miles,carrier,late\n1,1,AA,\n")
    refused = add(project, "a.csv", "odd")
    assert refused.code == 2
    assert "is null in 1 of 1 rows" in refused.result["error"]["message"]
    assert "Traceback" not in refused.err
