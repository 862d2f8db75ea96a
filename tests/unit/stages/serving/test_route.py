"""A route is sticky by unit, keeps its shares, and moves no unit that need not move."""

from collections import Counter

import pytest

from raypipe.stages.serving.route import Route, place_of

UNITS = [f"unit-{n}" for n in range(20_000)]


def choices(**shares: float) -> dict[str, str]:
    route = Route(model="m", shares=shares)
    return {unit: route.choose(unit)[0] for unit in UNITS}


def test_a_unit_stays_with_its_version():
    assert choices(a=0.7, b=0.3) == choices(a=0.7, b=0.3)


@pytest.mark.parametrize("shares", [{"a": 0.8, "b": 0.2}, {"a": 0.5, "b": 0.25, "c": 0.25}])
def test_versions_get_their_shares(shares):
    route = Route(model="m", shares=shares)
    counted = Counter(route.choose(unit) for unit in UNITS)
    assert {version for version, _ in counted} == set(shares)
    for (version, share), times in counted.items():
        assert share == shares[version]
        assert times / len(UNITS) == pytest.approx(share, abs=0.02)


def test_a_greater_share_moves_units_from_the_champion_alone():
    before, after = choices(a=0.8, b=0.2), choices(a=0.5, b=0.5)
    moved = {(before[unit], after[unit]) for unit in UNITS if before[unit] != after[unit]}
    assert moved == {("a", "b")}


def test_a_version_without_a_share_answers_nothing():
    assert set(choices(a=1.0, b=0.0).values()) == {"a"}
    assert set(choices(a=0.0, b=1.0).values()) == {"b"}


def test_models_divide_their_units_independently():
    assert place_of("m", "u") != place_of("n", "u")
    assert 0 <= place_of("m", "u") < 1
