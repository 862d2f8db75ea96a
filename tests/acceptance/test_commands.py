"""What the commands promise: homes, JSON, exit codes, scripts, and what is kept beside a run."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.app.look import look
from raypipe.config.load import from_json, load
from raypipe.engine.records import Result
from raypipe.values.split import SPLITS, split_of
from tests.acceptance import tiny
from tests.conftest import Project, kill_group

FLOW = """
from pathlib import Path

import pyarrow as pa
from pydantic import BaseModel
from raypipe import pipeline, step


class Options(BaseModel):
    rate: float = 0.5
    name: str = "a"


@step
def numbers(count: int) -> list[int]:
    print("counting to", count)
    return list(range(count))


@step
def table(values: list[int]) -> pa.Table:
    return pa.table({"x": values})


@step
def lines(text: Path, options: Options) -> int:
    return len(text.read_text().split()) if options.rate else 0


@pipeline
def flow(count: int = 3, text: Path = Path("words.txt"), options: Options = Options()):
    values = numbers(count)
    return {"values": values, "table": table(values), "lines": lines(text, options)}


if __name__ == "__main__":
    print(flow.run(count=4).values["values"])
"""


@pytest.fixture
def flow(project: Project) -> Project:
    """A script of three steps, with a file that it reads."""
    project.write("flow.py", FLOW)
    project.write("words.txt", "one two")
    return project


def script(project: Project, *arguments: str) -> str:
    """Run a script with Python."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=project.folder,
        env={**os.environ, "HOME": str(project.folder)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_result_is_one_object_with_what_the_design_lists(flow: Project) -> None:
    result = flow.run("flow.py").result

    assert list(result) == [
        "event", "run", "pipeline", "status", "steps", "outputs", "reviews", "error",
    ]  # fmt: skip
    assert (result["pipeline"], result["status"], result["error"]) == ("flow", "succeeded", None)
    assert [list(step) for step in result["steps"]] == [
        ["name", "action", "reason", "digest", "seconds"]
    ] * 3
    assert list(result["steps"][0]["reason"]) == ["kind", "what", "detail"]
    assert result["outputs"]["values"] == [0, 1, 2]
    assert result["outputs"]["lines"] == 2
    assert result["outputs"]["table"]["type"] == "Table"
    assert Path(result["outputs"]["table"]["path"]).exists()

    plan = flow.raypipe("plan", "flow.py", "--json").result
    assert list(plan) == [*(key for key in result if key != "run"), "estimate", "stale"]


def test_every_line_of_json_is_an_event(flow: Project) -> None:
    said = flow.run("flow.py")
    events = [json.loads(line)["event"] for line in said.out.splitlines()]
    assert events[0] == "run_started"
    assert events[-2:] == ["run_ended", "result"]
    assert "counting to 3" not in said.out


def test_a_script_run_by_python_shares_its_results_with_the_command(flow: Project) -> None:
    assert script(flow, "flow.py") == "[0, 1, 2, 3]\n"

    assert flow.run("flow.py", "--set", "count=4").executed == []
    assert flow.run("flow.py", "--set", "count=5").executed == ["numbers", "table"]


def test_a_pipeline_that_was_read_from_no_file_is_refused_in_a_sentence(flow: Project) -> None:
    text = (flow.folder / "flow.py").read_text()
    for command in (["-c", text], ["-"]):
        said = subprocess.run(
            [sys.executable, *command],
            input=text, cwd=flow.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert said.returncode == 1
        assert "pipeline 'flow' was not read from a file" in said.stderr, said.stderr


def test_a_pipeline_may_be_named_where_a_script_has_several(flow: Project) -> None:
    text = (flow.folder / "flow.py").read_text()
    flow.write("flow.py", text + "\n\n@pipeline\ndef other():\n    return numbers(1)\n")

    assert flow.run("flow.py:other").result["outputs"] == {"result": [0]}
    assert flow.run("flow.py:flow").result["outputs"]["values"] == [0, 1, 2]


def test_set_takes_yaml_and_parts_of_a_parameter(flow: Project) -> None:
    assert flow.run("flow.py").actions["lines"] == "execute"

    other = flow.run("flow.py", "--set", "options.rate=0")
    assert other.result["outputs"]["lines"] == 0
    steps = {step["name"]: step["reason"] for step in other.result["steps"]}
    assert steps["lines"]["kind"] == "parameter"
    assert steps["lines"]["what"] == "options.rate"
    again = flow.run("flow.py", "--set", "options={rate: 0.5, name: a}")
    assert again.executed == []


def test_a_file_that_is_a_parameter_counts_by_its_content(flow: Project) -> None:
    flow.run("flow.py")
    (flow.folder / "words.txt").touch()
    assert flow.run("flow.py").executed == []

    flow.write("words.txt", "one two three")
    assert flow.run("flow.py").result["outputs"]["lines"] == 3


def test_why_shows_the_lines_that_differ(flow: Project) -> None:
    flow.run("flow.py")
    flow.edit("flow.py", "list(range(count))", "list(range(1, count))")

    said = flow.raypipe("why", "numbers", "flow.py")

    assert said.code == 0
    assert "-    return list(range(count))" in said.out
    assert "+    return list(range(1, count))" in said.out
    plan = flow.raypipe("plan", "flow.py", "--json").actions
    assert plan == {"numbers": "execute", "table": "open", "lines": "hit"}


def test_the_home_is_given_named_near_or_the_project_s(flow: Project, tmp_path: Path) -> None:
    (flow.folder / "below" / "here").mkdir(parents=True)

    def home_of(*arguments: str, cwd: str = ".", **environment: str) -> Path:
        place = Project(flow.folder / cwd)
        said = place.run(str(flow.folder / "flow.py"), *arguments, **environment)
        return Path(said.result["outputs"]["table"]["path"]).parents[1]

    flow.edit("flow.py", '"words.txt"', f'"{flow.folder / "words.txt"}"')
    assert home_of(cwd="below/here") == flow.folder / ".raypipe"
    (flow.folder / "below" / ".raypipe").mkdir()
    assert home_of(cwd="below/here") == flow.folder / "below" / ".raypipe"
    named = str(tmp_path / "named")
    assert home_of(cwd="below/here", RAYPIPE_HOME=named) == Path(named)
    given = str(tmp_path / "given")
    assert home_of("--home", given, RAYPIPE_HOME=named) == Path(given)
    assert (tmp_path / "given").stat().st_mode & 0o077 == 0


def test_inside_a_ray_job_the_home_must_be_given(flow: Project) -> None:
    said = flow.raypipe("run", "flow.py", RAY_JOB_CONFIG_JSON_ENV_VAR="{}")
    assert said.code == 2
    assert "--home" in said.err


def test_force_runs_a_step_again_and_what_follows_stays(flow: Project) -> None:
    flow.run("flow.py")
    assert flow.run("flow.py", "--force", "numbers").executed == ["numbers"]


def test_what_steps_printed_is_kept_with_the_run(flow: Project) -> None:
    run = flow.run("flow.py").result["run"]
    assert "counting to 3" in flow.raypipe("runs", "logs", run).out


def test_plan_and_why_leave_no_trace(flow: Project) -> None:
    assert flow.raypipe("plan", "flow.py").code == 0
    assert flow.raypipe("why", "numbers", "flow.py").code == 0
    assert not (flow.folder / ".raypipe").exists()


# --- the cycle -----------------------------------------------------------------------------------


def test_the_settings_that_a_run_resolved_read_back_equal(trained: Project) -> None:
    run = tiny.run(trained, "--set", "training.patience=7").result["run"]

    record = look(trained.folder / ".raypipe").ledger.get_run(run)

    again = from_json(record.settings)
    assert again == load(trained.folder / "tiny.yaml", ["training.patience=7"])
    assert again.training.patience == 7


@pytest.fixture
def _importable(trained: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(trained.folder)
    yield
    for name in ("my_features", "my_helpers"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("_importable")
def test_no_row_of_the_analysis_split_is_an_input_of_training(trained: Project) -> None:
    """Walk from the training's result up to the files that it read."""
    workshop = look(trained.folder / ".raypipe")

    def result(step: str) -> Result:
        found = workshop.ledger.latest_result("mine", "tiny", step)
        assert found is not None
        return found

    def manifest(step: str) -> bytes:
        return workshop.artifacts.read(result(step).root)

    read = dict(result("train").explanation.inputs)
    files: dict[str, list[Path]] = {"train": [], "validation": []}
    for n in range(3):
        made = manifest(f"transform_shards[{n}]")
        shard = workshop.codec.decode(made, workshop.artifacts)
        for split, found in files.items():
            assert read.pop(f"{split}[{n}]") == workshop.codec.field(made, (split,))[0]
            found.append(getattr(shard, split).file)
    transform = workshop.codec.decode(manifest("fit"), workshop.artifacts)
    signature = workshop.codec.encode(transform.signature).digest
    assert read == {"signature": signature}  # it read nothing else

    rows = pa.concat_tables(tiny.rows(n * 20) for n in range(3))
    rule = load(trained.folder / "tiny.yaml").data.split
    for split, found in files.items():
        rows_of_split = rows.filter(pa.array(split_of(rows, rule) == SPLITS.index(split)))
        expected = sorted(map(tuple, transform.apply(rows_of_split)["dense"].tolist()))
        tables = [pq.read_table(file) for file in found]
        assert sorted(map(tuple, pa.concat_tables(tables)["dense"].to_pylist())) == expected


def test_a_training_that_was_killed_goes_on_from_its_checkpoint(
    imported: Project, wait_until
) -> None:
    project = imported
    project.edit(
        "my_model.py", "import torch\n", "import time\nfrom pathlib import Path\nimport torch\n"
    )
    project.edit(
        "my_model.py",
        "        place =",
        "        if self.training and Path('slow').exists():\n"
        "            time.sleep(0.2)\n"
        "        place =",
    )  # fmt: skip
    project.edit("tiny.yaml", "epochs: 2", "epochs: 6")
    whole = tiny.run(project, "--home", "whole/.raypipe", "--set", "runtime.kind=inline")
    assert whole.code == 9  # another home has no data: nothing is shared by accident

    project.write("slow", "")
    process = project.start("run", "tiny.yaml", "--runtime", "inline", "--json")
    work = project.folder / ".raypipe" / "work"

    def epochs() -> list[int]:
        found: list[int] = []
        for folder in work.iterdir() if work.exists() else ():
            with suppress(FileNotFoundError):  # a step that ends takes its folder with it
                lines = map(json.loads, (folder / "events.jsonl").read_text().splitlines())
                found += [line["step"] for line in lines if line["event"] == "metric"]
        return found

    wait_until(lambda: max(epochs(), default=0) >= 2)
    kill_group(process)
    (project.folder / "slow").unlink()

    said = tiny.run(project)

    assert said.result["status"] == "waiting"
    assert "fit" not in said.executed
    events = [json.loads(line) for line in said.out.splitlines()]
    told = [e["at"] for e in events if e["event"] == "metric" and e["name"] == "train_loss"]
    assert told.count(1) == 1  # a training from the start would have told it twice
    assert max(told) == 6
    resumed = {step["name"]: step["digest"] for step in said.result["steps"]}["train"]
    forced = tiny.run(project, "--force", "train")
    assert {step["name"]: step["digest"] for step in forced.result["steps"]}["train"] == resumed


def test_a_changed_recipe_makes_a_minor_version(registered: Project) -> None:
    project = registered
    project.edit("my_features.py", "/ 1000", "/ 500")
    tiny.run(project)
    tiny.approve(project)
    assert tiny.run(project).result["status"] == "succeeded"

    shown = project.raypipe("models", "show", "tiny", "--json").result["model"]
    assert shown["version"] == "1.1.0"
    assert "my_features" in json.dumps(shown["changelog"]["code"])


@pytest.mark.parametrize(
    ("streams", "code"),
    [
        (">&-", 0),
        ("2>&-", 0),
        (">&- 2>&- <&-", 0),
        ("2>&1 | true; exit ${PIPESTATUS[0]}", 0),
        (">/dev/null 2>/dev/full", 0),
        (">/dev/full", 7),  # what was asked for is not there
        ("--json >/dev/full", 7),
    ],
)
def test_a_run_succeeds_wherever_its_words_go(flow: Project, streams: str, code: int) -> None:
    """Under a supervisor that closes the streams, behind `| head`, into a log on a full disk."""
    flow.edit("flow.py", 'print("counting to", count)', _CHATTY)
    command = f"{sys.executable} -m raypipe run flow.py {streams}"
    environment = {**os.environ, "HOME": str(flow.folder)}
    done = subprocess.run(
        ["bash", "-c", command], cwd=flow.folder, env=environment, check=False, timeout=120
    )
    assert done.returncode == code
    (run,) = flow.raypipe("runs", "list", "--json").result["runs"]
    assert run["status"] == "succeeded"


_CHATTY = """
    import os
    for n in range(100):
        print("counting", n, flush=True)
    assert not os.fstat(1).st_size, "a file of the home is standard output"
"""
