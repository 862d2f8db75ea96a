"""Of a script's start, what changes something that a step reads counts, and no mere run."""

import pytest

from raypipe.engine.fingerprint import ModuleTable, fingerprint
from raypipe.engine.fingerprint.parse import parse_module
from tests.unit.engine.fingerprint.test_reach import Texts, project_of

# The block of a row is edited by writing 42 for 41.
SCRIPT = """
import os, random, sys
import raypipe
import helpers
TABLE = {}
RATE = 1
def set_up(rate):
    global RATE
    RATE = rate
def put(value):
    TABLE["x"] = value
def go(x):
    return RATE, TABLE, random.random(), os.environ.get("A"), sys.path, helpers.scaled(x)
@raypipe.pipeline
def flow(n=1):
    return go(n)
def main(n):
    print(flow.run(n=n))
def put_and_run(n):
    TABLE["y"] = n
    main(n)
if __name__ == "__main__":
    {block}
# file: helpers.py
SCALE = 1
def scaled(x):
    return x * SCALE
def configure(scale):
    global SCALE
    SCALE = scale
"""

COUNTS = {
    "a name": "RATE = 41",
    "a name, by another of the block": "rate = 41\n    RATE = rate",
    "a name, under a condition": "if len(sys.argv) > 1:\n        RATE = 41",
    "the condition of a name": "if len(sys.argv) > 41:\n        RATE = 3",
    "a name, where something fails": "try:\n        go(1)\n    except KeyError:\n        RATE = 41",
    "a name, by a case": "match sys.argv:\n        case _:\n            RATE = 41",
    "a name that a loop binds": "for RATE in (1, 41):\n        flow.run()",
    "a name that is computed": "globals()['RATE'] = 41",
    "a part": "TABLE['x'] = 41",
    "a part, by a method": "TABLE.update(x=41)",
    "a part, by what a run gave": "TABLE['x'] = flow.run(n=41)",
    "a function that sets a name": "set_up(41)",
    "a function that sets a part": "put(41)",
    "a function that sets a part and runs": "put_and_run(41)",
    "another module's name": "helpers.SCALE = 41",
    "another module's name, by setattr": "setattr(helpers, 'SCALE', 41)",
    "another module's function": "helpers.configure(41)",
    "a with that changes something": "with put(41):\n        flow.run()",
    "the library": "random.seed(41)",
    "the environment": "os.environ['A'] = '41'",
}

COUNTS_NOT = {
    "a run": "flow.run(n=41)",
    "a run that is kept": "outcome = flow.run(n=41)",
    "a run that is kept, annotated": "outcome: object = flow.run(n=41)",
    "a part of a run": "value = flow.run(n=41).values['x']",
    "a run that is printed": "print(flow.run(n=41).outputs)",
    "a run as an exit code": "sys.exit(0 if flow.run(n=41) else 1)",
    "a run that is raised": "raise SystemExit(flow.run(n=41))",
    "a run in a with": "with open('a') as f:\n        flow.run(n=41)",
    "a run in a loop": "for n in (1, 41):\n        flow.run(n=n)",
    "a run that may fail": "try:\n        flow.run(n=41)\n    except OSError:\n        raise",
    "a run under a condition": "if len(sys.argv) > 1:\n        flow.run(n=41)",
    "a run as a condition": "if flow.run(n=41).error:\n        sys.exit(41)",
    "a function that runs": "main(41)",
    "a function that runs, as an exit code": "sys.exit(main(41))",
    "a plan": "flow.plan(n=41)",
    "a text": "print('41', RATE)",
    "a name that no step reads": "n = 41\n    flow.run(n=n)",
}


class Started(Texts):
    """A project whose `flow.py` runs as `__main__`."""

    def module(self, name: str) -> ModuleTable | None:
        if name != "flow":
            return super().module(name)
        text = self.files["flow.py"]
        return parse_module(name, text, is_package=False, shown="flow.py", is_main=True)


def fingerprint_of(block: str) -> str:
    project = Started(project_of(SCRIPT.replace("{block}", block)))
    return fingerprint("flow:go", project).digest


@pytest.mark.parametrize("row", COUNTS)
def test_what_the_block_changes_of_what_a_step_reads_counts(row: str) -> None:
    assert fingerprint_of(COUNTS[row]) != fingerprint_of(COUNTS[row].replace("41", "42"))


@pytest.mark.parametrize("row", COUNTS_NOT)
def test_how_the_block_runs_a_pipeline_does_not_count(row: str) -> None:
    assert fingerprint_of(COUNTS_NOT[row]) == fingerprint_of(COUNTS_NOT[row].replace("41", "42"))
