"""What docs/events.md says of events and logs is so."""

import json
import re
from dataclasses import fields
from pathlib import Path

import raypipe.engine.events as module
from raypipe.app.outcome import Outcome
from raypipe.engine.events import Event
from raypipe.engine.records import Reason, StepState
from raypipe.runtime.printed import printing_to

DOCUMENT = Path(__file__).parents[3] / "docs" / "events.md"
STATE = StepState(name="f", action="hit", reason=Reason(kind="same"))
PLACEHOLDERS = {"state": STATE, "steps": ()}


def table(heading: str) -> dict[str, str]:
    """First to last cell of each row of the first table under a heading."""
    part = DOCUMENT.read_text().partition(heading)[2].partition("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in part.splitlines() if line.startswith("| `")]
    return {row[0].strip().strip("`"): row[-1] for row in rows}


def in_code(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def written(kind: type[Event]) -> dict:
    given = {one.name: PLACEHOLDERS.get(one.name, "x") for one in fields(kind)}
    return kind(**given).to_json()


def test_every_event_is_in_the_document_with_all_of_its_fields():
    kinds = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
    ]
    found = {kind.event: [name for name in written(kind) if name != "event"] for kind in kinds}
    said = {event: in_code(cells) for event, cells in table("## Events").items()}
    result = [name for name in Outcome(pipeline="p", run="r").to_json() if name != "event"]
    assert said == found | {"result": result}


def test_what_a_plan_has_more_is_in_the_document():
    plan, run = Outcome(pipeline="p").to_json(), Outcome(pipeline="p", run="r").to_json()
    text = DOCUMENT.read_text()
    assert plan.keys() - run.keys() == {"estimate", "stale"}
    assert "`estimate`" in text
    assert "`stale`" in text


def test_the_fields_of_a_log_are_in_the_document(tmp_path):
    import logging

    file = tmp_path / "f.jsonl"
    with printing_to(file, aloud=False):
        print("x")  # noqa: T201
        logging.getLogger("mine").error("y")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert {name for line in lines for name in line} == table("## Logs").keys()
