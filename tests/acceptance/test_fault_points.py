"""A process that dies between any two durable acts costs what was under way, and nothing else."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from raypipe.app.clean import clean
from raypipe.app.doctor import verify
from raypipe.app.look import look
from raypipe.fault_points import FAULT_POINTS, VARIABLE, asked_for
from raypipe.stages.serving.processes import free_ports
from raypipe.store.segments import SegmentWriter, read_records, seal
from raypipe.store.versions import open_store
from raypipe.values.uri import parse_uri
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
OF_VERSIONS = ("version.entered",)
OF_ROUTES = ("route.entered",)
OF_GATEWAYS = ("gateway.put",)
"""Held by test_serving.py."""
OF_DATA = (
    "repository.aside",
    "import.noted",
    "import.branched",
    "import.object",
    "import.staged",
    "import.committed",
    "import.merged",
)
OF_STORES = ("commit.recorded", "branch.moved", "object.removed")
"""Held by test_versions_local.py."""
OF_LABELS = ("label.kept",)
OF_CAPTURES = ("capture.recorded",)
"""Held by test_feedback.py, with those of data and effects."""
OF_EFFECTS = ("effect.begun", "effect.done", "effect.recorded")
"""Held by test_outbox.py."""
OF_LOGS = ("removal.noted", "segment.removed")
"""Held by test_request_retention.py."""
OF_HOMES = ("segment.sealed", "artifact.removed", "gateway.entered", "schema.brought up")
OF_CYCLES = ("schema.written",)
ELSEWHERE = {
    *(*OF_VERSIONS, *OF_ROUTES, *OF_DATA, *OF_LABELS, *OF_CAPTURES, *OF_EFFECTS, *OF_HOMES),
    *(*OF_STORES, *OF_CYCLES, *OF_GATEWAYS, *OF_LOGS, "review.decided"),
}
ONCE = {"run.entered", "code.kept", "run.resting", "steps.saved", "run.ended", "review.opened"}
"""Points that a process comes to once."""
OFTEN = {"artifact.aside", "artifact.placed", "output.published", "result.recorded"}
"""Points that the first run comes to four times at least."""
OF_RUNS = [
    pytest.param(f"{point}:{time}", marks=[] if time == 1 else [pytest.mark.long])
    for point in FAULT_POINTS
    if point not in ELSEWHERE
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
    [
        ("output.published", {"squares[0]"}),
        pytest.param("item.told", {"squares[0]", "squares[1]"}, marks=pytest.mark.long),
    ],
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


@pytest.mark.parametrize("point", ["run.resting", *OF_VERSIONS])
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


def killed(project: Project, point: str, *command: str) -> None:
    """Run a command that dies at a point."""
    process = project.start(*command, **{VARIABLE: point})
    out, err = process.communicate(timeout=240)
    assert process.returncode == -signal.SIGKILL, err + out


@pytest.mark.parametrize(
    "point",
    [
        "import.branched",
        "import.object:2",
        "import.committed",
        "import.merged",
        *(
            pytest.param(point, marks=pytest.mark.long)
            for point in (*OF_DATA, "import.staged:2")
            if point not in {"import.branched", "import.committed", "import.merged"}
        ),
    ],
)
def test_an_import_that_dies_there_is_made_up_for_by_the_next(project: Project, point: str) -> None:
    names = [tiny.write_shard(project, f"part{n}", tiny.rows(n * 20)) for n in range(2)]
    command = ("data", "import", *names, "--to", "local://tiny/main")
    killed(project, point, *command)

    said = project.raypipe(*command, "--json")

    assert said.code == 0, said.err
    shown = project.raypipe("data", "show", "local://tiny/main", "--json").result["dataset"]
    assert (shown["rows"], len(shown["shards"])) == (800, 2)
    log = project.raypipe("data", "log", "local://tiny/main", "--json").result["commits"]
    assert [one["message"].split()[0] for one in log] == ["Import", "The"]
    home = project.folder / ".raypipe"
    assert set(open_store(parse_uri("local://tiny/main"), home).branches()) == {"main"}


def test_a_schema_that_is_written_is_the_one_that_the_next_run_holds_data_to(
    imported: Project,
) -> None:
    killed(imported, "schema.written", "run", "tiny.yaml", "--runtime", "inline")
    schema = imported.folder / ".raypipe" / "schemas" / "tiny.yaml"
    before = schema.read_text()
    assert tiny.run(imported).result["status"] == "waiting"
    assert schema.read_text() == before
    ledger = look(imported.folder / ".raypipe").ledger
    assert len(ledger.list_reviews()) == 1


@pytest.mark.parametrize("command", ["promote", "route"])
def test_a_route_that_no_gateway_was_told_of_waits_for_whoever_comes_next(
    registered: Project, command: str
) -> None:
    ledger = look(registered.folder / ".raypipe").ledger
    rest = ["tiny@1.0.0"] if command == "promote" else ["tiny", "1.0.0=1"]
    killed(registered, "route.entered", command, *rest)
    assert ledger.route_history("tiny")[0].shares == {"1.0.0": 1.0}
    assert [row.kind for row in ledger.outbox("waiting")] == ["gateway"]
    said = registered.raypipe("outbox", "deliver", "--json")
    assert said.result["outbox"] == {"delivered": 1, "left": []}


def test_a_decision_that_nobody_was_told_of_stands(trained: Project) -> None:
    review = trained.raypipe("review", "list", "--json").result["reviews"][0]["id"]
    killed(trained, "review.decided", "review", "approve", review, "--by", "ada")
    said = trained.raypipe("review", "approve", review, "--by", "ada", "--json")
    assert said.result["review"]["already"]
    assert tiny.run(trained).result["status"] == "succeeded"


def test_a_log_whose_sealing_died_is_sealed_once(project: Project) -> None:
    folder = project.folder / "requests"
    writer = SegmentWriter(folder)
    writer.append(b'{"kind":"request","id":"a"}')
    writer.close()
    seals = "import sys; from pathlib import Path; from raypipe.store.segments import seal; "
    process = subprocess.run(
        [sys.executable, "-c", f"{seals}seal(Path(sys.argv[1]))", folder],
        env={**os.environ, VARIABLE: "segment.sealed"},
        check=False,
    )
    assert process.returncode == -signal.SIGKILL
    assert len(list(folder.rglob("*.seg"))) == len(list(folder.rglob("*.parquet"))) == 1
    seal(folder)
    assert len(list(folder.rglob("*.seg"))) == 0
    assert [record["id"] for record in read_records(folder)] == ["a"]


def test_labels_that_were_half_kept_are_all_there_after_adding_them_again(
    registered: Project,
) -> None:
    registered.write("told.csv", "request_id,label\n" + "".join(f"{n},true\n" for n in "abc"))
    killed(registered, "label.kept:2", "feedback", "add", "told.csv")
    assert registered.raypipe("feedback", "add", "told.csv", "--json").code == 0
    found = read_records(registered.folder / ".raypipe" / "requests")
    told = [record["request"] for record in found if record["kind"] == "label"]
    assert (set(told), len(told)) == ({"a", "b", "c"}, 3)


def test_a_cleaning_that_died_removed_nothing_that_is_needed(flow: Project) -> None:
    flow.run("flow.py")
    artifacts = look(flow.folder / ".raypipe").artifacts
    unneeded = [artifacts.put_bytes(text).digest for text in (b"one", b"two")]
    killed(flow, "artifact.removed", "clean", "--yes")
    assert flow.raypipe("clean", "--yes").code == 0
    left = set(artifacts.list())
    assert not left & set(unneeded)
    assert flow.run("flow.py").executed == []


def test_a_gateway_that_died_before_its_ray_was_up_is_told_of_and_cleared_away(
    registered: Project,
) -> None:
    (port,) = free_ports(1)
    killed(registered, "gateway.entered", "serve", "run", "--port", str(port))
    assert registered.raypipe("serve", "status", "--json").result["serve"]["crashed"]
    assert registered.raypipe("serve", "stop").code == 0
    assert not registered.raypipe("serve", "status", "--json").result["serve"]["crashed"]


def test_a_ledger_that_was_brought_up_half_way_is_brought_up_by_the_next(
    project: Project,
) -> None:
    home = project.folder / ".raypipe"
    home.mkdir()
    old = Path(__file__).parents[1] / "data" / "ledgers" / "schema_1.sql"
    with closing(sqlite3.connect(home / "ledger.db")) as opened:
        opened.executescript(old.read_text())
    killed(project, "schema.brought up", "runs", "list")
    said = project.raypipe("runs", "list", "--json")
    assert said.code == 0, said.err
    assert len(said.result["runs"]) == 3


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
