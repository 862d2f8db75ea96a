"""A cycle's settings are held to how it runs, before its rows are looked at."""

from pathlib import Path

import pytest

from raypipe.app.cycle_setup import require_ray
from raypipe.config.load import load
from raypipe.errors import UsageError

FLIGHTS = Path(__file__).parents[3] / "configs" / "flights.yaml"


def test_a_loop_of_ones_own_needs_ray() -> None:
    config = load(FLIGHTS, ("training.loop=mine:loop",))
    require_ray(config, "ray")
    with pytest.raises(UsageError, match="'mine:loop', which Ray Train runs"):
        require_ray(config, "inline")
    require_ray(load(FLIGHTS, ()), "inline")
