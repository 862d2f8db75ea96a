"""What training says on its way: rows a second, the metrics known so far, how far it is."""

import json

import pytest

from raypipe.stages.training import telling
from raypipe.stages.training.telling import Teller


@pytest.fixture
def said(context, monkeypatch):
    """Tell of batches at given times; returns what was said."""

    def said(*batches):
        teller = Teller(context=context, rows=1000, epochs=4)
        for now, epoch, done in batches:
            monkeypatch.setattr(telling.time, "monotonic", lambda now=now: now)
            teller.batch(epoch, done, 10)
        return [json.loads(line) for line in context.events.read_text().splitlines()]

    return said


def test_rows_a_second_are_those_since_it_last_spoke(said):
    events = said((0.0, 1, 1), (0.2, 1, 2), (1.0, 1, 6), (2.0, 2, 1))

    assert [event["done"] for event in events] == [0.6, 1.1]
    assert [event["what"] for event in events] == ["500 rows/s", "500 rows/s"]


def test_it_does_not_speak_of_every_batch(said, context):
    context.events.touch()

    assert said(*((n / 100, 1, n) for n in range(1, 10))) == []
