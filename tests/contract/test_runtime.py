"""What every runtime does: the same results, failures, retries, limits and logs."""

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raypipe.app import worker
from raypipe.engine.ports import CallOutcome, Runtime, StepCall
from raypipe.errors import PipelineError, StepFailed
from raypipe.runtime.inline import InlineRuntime
from raypipe.runtime.printed import log_file
from raypipe.store.content import digest_path
from raypipe.store.folder import FolderArtifacts
from raypipe.store.paths import HomePaths
from raypipe.values.codec import TreeCodec

STEPS = """
import threading
import time
from pathlib import Path

import raypipe
from raypipe import step
from helper import twice


@step
def double(x: int) -> int:
    print("doubling", x)
    return twice(x)


@step
def reports(n: int) -> int:
    for i in range(n):
        raypipe.progress(i + 1, n, "rows")
        raypipe.log_metric("loss", 1.0 / (i + 1), i)
    return n


@step
def breaks(x: int) -> int:
    raise ValueError(f"no {x}")


@step
def breaks_until(marker: str, times: int) -> int:
    tries = Path(marker).read_text() if Path(marker).exists() else ""
    count = Path(marker).write_text(tries + "x")
    if count <= times:
        raise OSError("not yet")
    return count


@step
def sleeps(seconds: float) -> int:
    time.sleep(seconds)
    return 1


@step
def squares(xs: list[int]) -> list[int]:
    return [x * x for x in xs]


@step
def one_short(xs: list[int]) -> list[int]:
    return xs[1:]


@step
def folder(text: str) -> Path:
    made = raypipe.current().scratch / "made"
    made.mkdir()
    (made / "a.txt").write_text(text)
    return made


@step
def cannot_be_kept() -> object:
    return threading.Lock()
"""


class Bench:
    """A runtime with a home to publish to."""

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self.runtime = runtime
        self.folder = folder
        self.home = folder / "home"
        self.artifacts = FolderArtifacts(HomePaths(self.home).artifacts)
        self.codec = TreeCodec(digest_path, None)
        self.calls = 0

    def call(self, function: str, *, batch: str | None = None, **given: Any) -> StepCall:
        """Return a call of one of the steps; `_name=` sets a field of the call."""
        fields = {name[1:]: given.pop(name) for name in list(given) if name.startswith("_")}
        self.calls += 1
        scratch = self.home / "work" / str(self.calls)
        scratch.mkdir(parents=True)
        return StepCall(
            **{
                "id": str(self.calls),
                "step": function,
                "target": f"contract_steps:{function}",
                "root": self.folder,
                "folders": (".",),
                "arguments": {name: self.argument(value) for name, value in given.items()},
                "batch": batch,
                "resources": {"num_cpus": 0.5},
                "timeout": None,
                "scratch": scratch,
                "events": scratch / "events.jsonl",
                "run": "r1",
                "home": self.home,
                **fields,
            }
        )

    def argument(self, value: Any) -> Any:
        """Publish a value, as the driver does, and return its manifest."""
        encoded = self.codec.encode(value)
        for blob in encoded.blobs:
            assert isinstance(blob, bytes)
            self.artifacts.put_bytes(blob)
        return encoded.manifest

    def outcomes(self, *calls: StepCall, seconds: float = 60) -> dict[str, CallOutcome]:
        """Submit calls and wait for all of them."""
        for call in calls:
            self.runtime.submit(call)
        found: dict[str, CallOutcome] = {}
        deadline = time.monotonic() + seconds
        while len(found) < len(calls):
            assert time.monotonic() < deadline
            found |= {outcome.id: outcome for outcome in self.runtime.wait(0.1)}
        return found

    def run(self, function: str, **given: Any) -> CallOutcome:
        """Run one call."""
        call = self.call(function, **given)
        return self.outcomes(call)[call.id]

    def value(self, outcome: CallOutcome, index: int = 0) -> Any:
        """Read what a call published."""
        assert outcome.error is None
        manifest = self.artifacts.read(outcome.outputs[index].root)
        return self.codec.decode(manifest, self.artifacts)


def write_steps(folder: Path) -> None:
    (folder / "contract_steps.py").write_text(STEPS)
    (folder / "helper.py").write_text("def twice(x):\n    return 2 * x\n")


@pytest.fixture(scope="module")
def _ray(
    tmp_path_factory: pytest.TempPathFactory, ray_token: Path
) -> Iterator[tuple[Runtime, Path]]:
    from raypipe.runtime.on_ray import RayOptions, RayRuntime

    folder = tmp_path_factory.mktemp("ray")
    write_steps(folder)
    (folder / "home").mkdir()
    shutil.copy(ray_token, folder / "home")
    runtime = RayRuntime(worker.run_on_ray, RayOptions(home=folder / "home", cpus=2))
    yield runtime, folder
    runtime.close()


@pytest.fixture(params=["inline", pytest.param("ray", marks=[pytest.mark.ray, pytest.mark.slow])])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """A runtime of each kind, with steps that it can run."""
    if request.param == "ray":
        runtime, folder = request.getfixturevalue("_ray")
        made = Bench(runtime, folder)
        made.calls = time.monotonic_ns()
        yield made
        return
    write_steps(tmp_path)
    bench = Bench(InlineRuntime(worker.run_inline), tmp_path)
    yield bench
    bench.runtime.close()
    for name in ("contract_steps", "helper"):
        sys.modules.pop(name, None)


def test_a_step_gets_values_and_publishes_one(bench: Bench) -> None:
    outcome = bench.run("double", x=21)

    assert bench.value(outcome) == 42
    assert outcome.seconds >= 0


def test_a_folder_is_published_whole(bench: Bench) -> None:
    made = bench.value(bench.run("folder", text="hello"))

    assert (made / "a.txt").read_text() == "hello"
    assert made.is_relative_to(HomePaths(bench.home).artifacts)


def test_the_same_value_has_the_same_digest_wherever_it_is_made(bench: Bench) -> None:
    expected = bench.codec.encode(42).digest
    assert bench.run("double", x=21).outputs[0].root == expected


def test_calls_are_told_apart(bench: Bench) -> None:
    calls = [bench.call("double", x=n) for n in range(5)]
    found = bench.outcomes(*calls)
    assert [bench.value(found[call.id]) for call in calls] == [0, 2, 4, 6, 8]


def test_a_batch_gives_an_output_for_each_item(bench: Bench) -> None:
    outcome = bench.run("squares", xs=None, batch="xs", _arguments={"xs": [
        bench.argument(n) for n in (2, 3)
    ]})  # fmt: skip
    assert [bench.value(outcome, n) for n in (0, 1)] == [4, 9]


def test_a_batch_must_give_as_many_as_it_got(bench: Bench) -> None:
    outcome = bench.run("one_short", batch="xs", _arguments={"xs": [
        bench.argument(n) for n in (2, 3)
    ]})  # fmt: skip
    assert isinstance(outcome.error, StepFailed)
    assert "a list of as many, not 1" in str(outcome.error)


def test_a_step_that_raises_is_an_outcome_with_the_steps_own_frames(bench: Bench) -> None:
    error = bench.run("breaks", x=3).error

    assert isinstance(error, StepFailed)
    assert (error.step, error.kind) == ("breaks", "ValueError")
    assert "no 3" in str(error)
    assert "raise ValueError" in error.frames
    assert "raypipe/runtime" not in error.frames


def test_what_cannot_be_kept_is_an_error_that_names_step_and_type(bench: Bench) -> None:
    error = bench.run("cannot_be_kept").error

    assert isinstance(error, StepFailed)
    assert "'cannot_be_kept'" in str(error)
    assert "lock" in str(error)


def test_a_call_is_tried_once_and_says_by_what_it_may_be_tried_again(
    bench: Bench, tmp_path: Path
) -> None:
    marker = str(tmp_path / "tries")
    error = bench.run("breaks_until", marker=marker, times=1).error
    assert isinstance(error, StepFailed)
    assert (error.cause, error.classes[0]) == ("raised", "OSError")
    assert Path(marker).read_text() == "x"
    assert bench.value(bench.run("breaks_until", marker=marker, times=1)) == 2


def test_a_timeout_ends_a_step(bench: Bench) -> None:
    started = time.monotonic()
    error = bench.run("sleeps", seconds=30, _timeout=0.3).error

    assert isinstance(error, StepFailed)
    assert "timeout of 0.3 s" in str(error)
    assert time.monotonic() - started < 25


def test_progress_and_metrics_are_written_for_the_driver(bench: Bench) -> None:
    call = bench.call("reports", n=3)
    bench.outcomes(call)
    text = call.events.read_text()
    assert text.count('"progress"') == 3
    assert text.count('"metric"') == 3


def test_what_a_step_prints_is_kept_and_never_on_stdout(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.run("double", x=4)

    assert "doubling 4" in log_file(bench.home, "r1", "double").read_text()
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("bench", ["inline"], indirect=True)
def test_a_closed_runtime_forgets_what_it_did_not_run(bench: Bench) -> None:
    bench.runtime.submit(bench.call("double", x=1))
    bench.runtime.close()
    assert bench.runtime.wait(0) == []


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("bench", ["ray"], indirect=True)
def test_steps_run_side_by_side_within_their_resources(bench: Bench) -> None:
    """Four calls of half a CPU on two CPUs overlap; two of two CPUs do not."""
    bench.run("double", x=1)  # workers are up
    started = time.monotonic()
    bench.outcomes(*(bench.call("sleeps", seconds=1.5) for _ in range(4)))
    together = time.monotonic() - started
    started = time.monotonic()
    wide = {"num_cpus": 2}
    bench.outcomes(*(bench.call("sleeps", seconds=1.5, _resources=wide) for _ in range(2)))
    assert time.monotonic() - started >= 3.0
    assert together < 6.0 - 0.5


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("bench", ["ray"], indirect=True)
def test_a_worker_that_dies_is_an_outcome(bench: Bench) -> None:
    (bench.folder / "contract_kill.py").write_text(
        "import os, signal\nfrom raypipe import step\n\n\n@step\ndef dies() -> int:\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n    return 1\n"
    )
    error = bench.run("dies", _target="contract_kill:dies").error
    assert isinstance(error, StepFailed)
    assert "lost its worker" in str(error)


def test_a_step_inside_a_function_cannot_be_imported_elsewhere(bench: Bench) -> None:
    error = bench.run("inner", _target="contract_steps:f.<locals>.inner").error
    assert isinstance(error, PipelineError)
    assert "inside a function" in str(error)
