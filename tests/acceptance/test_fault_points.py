"""A process that dies between any two durable acts costs what was under way, and nothing else."""

import signal
from pathlib import Path

import pytest

from raypipe.app.clean import clean
from raypipe.app.doctor import verify
from raypipe.app.look import look
from raypipe.fault_points import FAULT_POINTS, VARIABLE, asked_for
from tests.acceptance import tiny
from tests.conftest import Project, Said, counts

FLOW = """
from pathlib import Path

from raypipe import pipeline, step
from raypipe.engine.context import current
from raypipe.engine.graph import review

HERE = Path(__file__).parent


def ran(name):
    with (HERE / "log.txt").open("a") as file:
        file.write(name + "\\n")


@step
def numbers(upto: int) -> list[int]:
    ran("numbers")
    return list(range(upto))


@step(batch="items")
def squares(items: list[int]) -> list[int]:
    made = []
    for place, item in enumerate(items):
        ran(f"squares[{item}]")
        made.append(item * item)
        current().hand_in(place, made[place])
    return made


@step
def page(values: list[int], squared: list[int]) -> Path:
    ran("page")
    folder = current().scratch / "pages"
    folder.mkdir(parents=True, exist_ok=True)
    for value in values:
        (folder / f"{value}.txt").write_text(str(squared[value]))
    return folder


@step
def total(pages: Path, decision) -> int:
    ran("total")
    return sum(int(file.read_text()) for file in pages.iterdir())


@pipeline
def flow():
    pages = page(numbers(3), squares([0, 1, 2]))
    return total(pages, review(pages, name="look"))
"""
STEPS = ("numbers", "squares[0]", "squares[1]", "squares[2]", "page", "total")
OF_VERSIONS = "version.entered"
ONCE = {"run.entered", "code.kept", "run.resting", "steps.saved", "run.ended", "review.opened"}
"""Points that a process comes to once."""
OFTEN = {"artifact.aside", "artifact.placed", "output.published", "result.recorded"}
"""Points that the first run comes to four times at least."""
OF_RUNS = [
    f"{point}:{time}"
    for point in FAULT_POINTS
    if point != OF_VERSIONS
    for time in ((1,) if point in ONCE else (1, 2, 4) if point in OFTEN else (1, 2))
]


@pytest.fixture
def flow(project: Project) -> Project:
    project.write("flow.py", FLOW)
    return project


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Step to the digest of what it gives, where nothing ever happens."""
    project = Project(tmp_path_factory.mktemp("undisturbed"))
    project.write("pyproject.toml", "[project]\nname = 'mine'\nversion = '0'\n")
    project.write("flow.py", FLOW)
    return digests(finish(project))


def finish(project: Project) -> Said:
    """Take the flow to its end: a run that waits, a decision, a run that succeeds."""
    waiting = project.run("flow.py")
    if waiting.result["status"] == "waiting":
        assert approve(project) == 0
    return project.run("flow.py")


def approve(project: Project) -> int:
    open_ = project.raypipe("review", "list", "--json").result["reviews"]
    return project.raypipe("review", "approve", open_[0]["id"], "--by", "test").code


def digests(said: Said) -> dict[str, str]:
    assert said.result["outputs"] == {"result": 5}
    return {step["name"]: step["digest"] for step in said.result["steps"]}


def recorded(project: Project) -> set[str]:
    """Steps that have a result in the ledger."""
    ledger = look(project.folder / ".raypipe").ledger
    return {step for step in STEPS if ledger.latest_result("mine", "flow", step) is not None}


def die(project: Project, point: str) -> None:
    """Run the flow until it dies at a point; where the point lies behind the review, decide it."""
    for _ in range(2):
        process = project.start("run", "flow.py", "--json", **{VARIABLE: point})
        out, err = process.communicate(timeout=120)
        if process.returncode == -signal.SIGKILL:
            return
        assert process.returncode == 0, err + out
        assert approve(project) == 0
    pytest.fail(f"no run came to {point}")


@pytest.mark.parametrize("point", OF_RUNS)
def test_what_dies_there_is_made_up_for_by_the_next_run(
    flow: Project, undisturbed: dict[str, str], point: str
) -> None:
    die(flow, point)
    kept = recorded(flow)
    before = counts(flow.folder / "log.txt", STEPS)

    assert digests(finish(flow)) == undisturbed

    after = counts(flow.folder / "log.txt", STEPS)
    assert {step: after[step] - before[step] for step in kept} == dict.fromkeys(kept, 0)
    assert all(after[step] <= 2 for step in STEPS)
    home = flow.folder / ".raypipe"
    assert "running" not in {run.status for run in look(home).ledger.list_runs(limit=9)}
    clean(home, dry_run=False)
    assert not list((home / "work").glob("*"))
    assert all(check.ok for check in verify(home))
    assert flow.run("flow.py").executed == []


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "told"),
    [("output.published", {"squares[0]"}), ("item.told", {"squares[0]", "squares[1]"})],
)
def test_a_worker_that_dies_there_costs_what_was_not_recorded(
    flow: Project, undisturbed: dict[str, str], point: str, told: set[str]
) -> None:
    fault = {VARIABLE: f"{point}:2"}
    said = flow.raypipe("run", "flow.py", "--runtime", "ray", "--json", **fault)
    assert said.code == 6, said.err + said.out
    assert "lost its worker" in said.result["error"]["message"]
    kept = recorded(flow)
    assert kept == {"numbers", *told}
    before = counts(flow.folder / "log.txt", STEPS)

    assert digests(finish(flow)) == undisturbed

    after = counts(flow.folder / "log.txt", STEPS)
    assert {step: after[step] - before[step] for step in kept} == dict.fromkeys(kept, 0)


@pytest.mark.parametrize("point", ["run.resting", OF_VERSIONS])
def test_a_version_is_entered_once_and_is_the_champion(trained: Project, point: str) -> None:
    project = trained
    tiny.approve(project)
    process = project.start("run", "tiny.yaml", "--json", **{VARIABLE: point})
    process.communicate(timeout=240)
    assert process.returncode == -signal.SIGKILL

    said = tiny.run(project)

    assert said.result["status"] == "succeeded", said.err
    ledger = look(project.folder / ".raypipe").ledger
    assert [row.version for row in ledger.versions("tiny")] == ["1.0.0"]
    assert ledger.aliases("tiny") == {"champion": "1.0.0"}
    assert len(ledger.alias_history("tiny")) == 1


def test_a_fault_that_there_is_not_is_refused(project: Project) -> None:
    for text, words in {"no.such": "no such fault point", "run.ended:x": "the how manyth"}.items():
        said = project.raypipe("runs", "list", **{VARIABLE: text})
        assert said.code == 2
        assert words in said.err
    assert asked_for("run.ended:3") == ("run.ended", 3)


def test_the_points_are_listed_and_each_is_in_the_code(project: Project) -> None:
    said = project.raypipe("doctor", "--faults", "--json")
    assert said.result["fault_points"] == FAULT_POINTS
    root = Path(__file__).parents[2] / "raypipe"
    code = "".join(file.read_text() for file in root.rglob("*.py"))
    assert [name for name in FAULT_POINTS if f'fault_point("{name}")' not in code] == []
