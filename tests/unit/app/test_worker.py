"""A call in a Ray worker, before it runs."""

from pathlib import Path

from raypipe.app.worker import run_on_ray
from raypipe.engine.ports import StepCall


def test_a_node_that_does_not_see_the_home_says_so(tmp_path):
    call = StepCall(
        id="k", step="train", target="m:train", root=Path(), folders=(), arguments={}, batch=None,
        resources={}, timeout=None, scratch=tmp_path / "home" / "work" / "k",
        events=tmp_path / "events", run="r", home=tmp_path / "home", function=None,
    )  # fmt: skip
    error = run_on_ray(call).error
    assert error is not None
    assert "which does not see the home" in str(error)
    assert not (tmp_path / "home").exists()
