"""The cycle with rows that are transformed on their way to training."""

import pytest

from tests.acceptance import tiny

pytestmark = pytest.mark.slow


@pytest.mark.long
def test_a_cycle_by_stream_writes_no_rows_and_comes_to_its_review(project):
    tiny.make(project)

    written = tiny.run(project)
    streamed = tiny.run(project, "--set", "training.feed=stream")

    assert written.code == streamed.code == 0, streamed.err
    steps = {step["name"]: step for step in streamed.result["steps"]}
    assert not [name for name in steps if name.startswith("transform_shards")]
    assert steps["train"]["action"] == "execute"
    assert steps["fit"]["action"] == "hit"
    assert streamed.result["status"] == written.result["status"] == "waiting"


def test_a_sweep_by_stream_is_refused_with_the_way_out(project):
    tiny.make(project)
    space = "tuning.space={training.learning_rate: {low: 0.001, high: 0.1, log: true}}"

    said = tiny.run(project, "--set", "training.feed=stream", "--set", space)

    assert said.code == 2
    assert "training.feed is stream" in said.err + said.out
    assert "Traceback" not in said.err
