"""The gateway, routes and answers become text that a person can read."""

import pytest

from raypipe.cli import render_serving

MODELS = {
    "flights": {
        "champion": "1.1.0",
        "shares": {"1.1.0": 0.9, "1.0.0": 0.1},
        "versions": ["1.1.0", "1.0.0", "0.9.0"],
    }
}
UP = {"url": "http://127.0.0.1:8000", "pid": 7, "models": MODELS, "faults": [], "already": False}


def test_a_gateway_that_is_up_says_what_it_serves_and_how_it_is_asked():
    assert render_serving.gateway(UP) == (
        "The gateway is up at http://127.0.0.1:8000 (pid 7).\n"
        "model    version            share\n"
        "flights  1.1.0    champion  90 %\n"
        "flights  1.0.0    -         10 %\n"
        "flights  0.9.0    -         pinned only\n"
        "  http://127.0.0.1:8000/docs   how it is asked\n"
        "  raypipe serve stop   ends it"
    )
    assert "is up already at" in render_serving.gateway({**UP, "already": True})


def test_a_home_without_a_model_says_when_there_will_be_one():
    assert "`raypipe run` will tell it of the first" in render_serving.gateway({**UP, "models": {}})


def test_a_fault_is_told_where_the_gateway_is():
    told = {**UP, "faults": ["flights 1.1.0 cannot be loaded"]}
    assert "It could not load this: flights 1.1.0 cannot be loaded" in render_serving.gateway(told)
    standing = {**told, "up": True, "since": 0.0, "replicas": [8, 9]}
    assert "It could not load this: flights" in render_serving.standing(standing)
    assert "8, 9" in render_serving.standing(standing)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"up": False, "crashed": False}, "The gateway is not up.\n→ raypipe serve start"),
        (
            {"up": False, "crashed": True},
            "The gateway is not up: its process ended before it was stopped.\n"
            "→ raypipe serve start",
        ),
        ({"up": False, "status": "starting"}, "The gateway is starting."),
    ],
)
def test_a_gateway_that_is_not_up_says_what_to_do(data, text):
    assert render_serving.standing(data) == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"stopped": False, "processes": 0}, "No gateway is up in this home."),
        ({"stopped": True, "url": "U", "processes": 0}, "The gateway at U has ended."),
        (
            {"stopped": True, "url": "U", "processes": 2},
            "The gateway at U has ended; 2 of its processes had to be ended.",
        ),
    ],
)
def test_an_end_says_what_was_ended(data, text):
    assert render_serving.stopped(data) == text


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "100 %"), (0.1, "10 %"), (1 / 3, "33.33333333 %"), (0.001, "0.1 %")]
)
def test_a_share_has_as_many_digits_as_it_needs(share, text):
    assert render_serving.percent(share) == text


ROUTE = {
    "model": "flights",
    "champion": "1.1.0",
    "shares": {"1.1.0": 0.9, "1.0.0": 0.1},
    "history": [
        {
            "shares": {"1.1.0": 0.9, "1.0.0": 0.1},
            "actor": {"name": None, "user": "ann"},
            "time": 0.0,
        }
    ],
    "serving": None,
}


def test_a_route_is_shown_with_who_set_it():
    text = render_serving.route(ROUTE)
    assert "1.1.0    champion  90 %" in text
    assert "ann" in text
    assert "1.1.0 90 %, 1.0.0 10 %" in text
    empty = {**ROUTE, "shares": {}, "history": []}
    assert render_serving.route(empty) == "No version answers: none is promoted."


@pytest.mark.parametrize(
    ("done", "first"),
    [
        ({}, "flights: 1.1.0 90 %, 1.0.0 10 %"),
        (
            {"did": "promoted", "version": "1.1.0", "before": "1.0.0"},
            "flights@1.1.0 is the champion, instead of 1.0.0.",
        ),
        (
            {"did": "promoted", "version": "1.1.0", "before": None},
            "flights@1.1.0 is the champion.",
        ),
        (
            {"did": "promoted", "version": "1.1.0", "before": "1.1.0"},
            "flights@1.1.0 is the champion, as before.",
        ),
        (
            {"did": "rolled back", "version": "1.0.0", "before": "1.1.0"},
            "flights@1.0.0 is the champion again, instead of 1.1.0.",
        ),
        (
            {"did": "challenges", "version": "1.0.0", "before": "1.1.0"},
            "flights@1.0.0 challenges: 1.1.0 90 %, 1.0.0 10 %.",
        ),
    ],
)
def test_what_was_done_to_a_route_is_said_first(done, first):
    said, serving = render_serving.routed({**ROUTE, **done}).split("\n")
    assert said == first
    assert serving.startswith("It is not serving")


def test_whether_the_gateway_follows_is_said():
    assert render_serving.serving({"url": "U"}) == "The gateway at U follows."
    failed = render_serving.serving({"url": "U", "error": "it is torn"})
    assert failed == "The gateway at U does not follow: it is torn"
