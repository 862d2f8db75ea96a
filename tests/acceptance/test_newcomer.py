"""What a person is told who begins at the wrong end, in a home where there is nothing yet."""

import shlex

import pytest

from tests.conftest import Project, Said

CASES = {
    # of a gateway and models, before there are any
    "predict flights rows.csv": (8, "is not up", "raypipe serve start"),
    "predict flights rows.csv --url http://127.0.0.1:1": (8, "does not answer", "serve status"),
    "route flights": (9, "no model 'flights'", "raypipe run FILE"),
    "route flights 1.0.0=1": (9, "no model 'flights'", "raypipe run FILE"),
    "promote flights@1.0.0": (9, "no model 'flights'", "raypipe run FILE"),
    "promote flights": (9, "no model 'flights'", "raypipe run FILE"),
    "rollback flights": (9, "no model 'flights'", "raypipe run FILE"),
    "models show flights": (9, "no model 'flights'", "raypipe run FILE"),
    "score flights rows.csv": (9, "no model 'flights'", "raypipe run FILE"),
    "lineage flights": (9, "no model 'flights'", "raypipe run FILE"),
    "requests export flights --out x.csv": (9, "no request of 'flights'", "requests audit"),
    "run": (2, "no target", "raypipe run configs/flights.yaml"),
    "why train": (2, "no target", "raypipe"),
    # with arguments that make no sense
    "predict": (2, "MODEL", "raypipe predict --help"),
    "predict flights none.csv": (9, "none.csv", ".parquet"),
    "predict flights@ rows.csv": (2, "flights@", "flights@1.0.0"),
    "predict flights rows.csv --url here": (2, "'here'", "http://127.0.0.1:8000"),
    "predict flights rows.csv --unit who": (2, "no column 'who'", "--unit"),
    "predict flights rows.csv --out answers.txt": (2, "answers.txt", "→"),
    "route flights 1.0.0": (2, "'1.0.0'", "1.0.0=0.9"),
    "route flights 1.0.0=much": (2, "'much'", "0.1"),
    "route flights 1.0.0=0.5": (2, "sum to 0.5", "1.0.0=1"),
    "promote @": (2, "no model is named", "flights@1.0.0"),
    "promote": (2, "MODEL@VERSION", "raypipe promote --help"),
    "rollback": (2, "MODEL", "raypipe rollback --help"),
    "rollback flights@1.0.0": (2, "whole model", "flights"),
    "feedback add": (2, "'FILE'", "raypipe feedback add --help"),
    "feedback add none.csv": (9, "none.csv", ".parquet"),
    "feedback add rows.csv": (2, "no column 'request_id'", "raypipe predict --out"),
    "feedback add labels.csv": (2, "no column 'label'", "name the column of labels `label`"),
    "feedback add torn.parquet": (2, "torn.parquet", "→"),
    "feedback join": (2, "SETTINGS", "raypipe feedback join --help"),
    "feedback join none.yaml": (9, "none.yaml", "→"),
    "requests audit --ids none.txt": (9, "none.txt", "→"),
    "requests export flights": (2, "--out", "raypipe requests export --help"),
    "requests export flights --out x.csv --since then": (2, "'then'", "2026-01-31"),
    "serve start none.yaml": (9, "none.yaml", "→"),
    "serve start --port 0": (2, "--port", "raypipe serve start --help"),
    "serve start --replicas 0": (2, "--replicas", "raypipe serve start --help"),
    "serve run --host 256.1.1.1": (8, "256.1.1.1", "--host 127.0.0.1"),
    "serve begin": (2, "'begin'", "raypipe serve --help"),
    "--home here serve start": (2, "options follow its name", "raypipe --help"),
}

QUIET = {
    # what has nothing to show says so, or what makes it
    "models list": "raypipe run FILE",
    "runs list": "raypipe run TARGET",
    "review list": "No review",
    "requests audit": "is empty",
    "serve stop": "No gateway",
}


@pytest.fixture
def beginner(project: Project) -> Project:
    project.write("rows.csv", "temp,wind\n1,2\n")
    project.write("labels.csv", "request_id,late\nabc,true\n")
    project.write("torn.parquet", "PAR1")
    return project


@pytest.mark.parametrize("command", CASES)
def test_a_wrong_start_is_told_in_a_sentence_with_the_next_step(
    beginner: Project, command: str
) -> None:
    code, *words = CASES[command]
    said = beginner.raypipe(*shlex.split(command))
    assert said.code == code, said.err
    first, *rest = said.err.strip().splitlines()
    assert first.startswith("raypipe: ")
    assert rest[-1].startswith("→ ")
    assert all(word in said.err for word in words), said.err
    nothing_of_the_inside(said)
    assert said.out == ""


@pytest.mark.parametrize("command", QUIET)
def test_what_is_empty_says_so(beginner: Project, command: str) -> None:
    said = beginner.raypipe(*shlex.split(command))
    assert said.code == 0
    assert QUIET[command] in said.out
    nothing_of_the_inside(said)


def test_a_gateway_that_is_not_up_says_how_to_start_it(beginner: Project) -> None:
    said = beginner.raypipe("serve", "status")
    assert said.code == 8
    assert "raypipe serve start" in said.out


def nothing_of_the_inside(said: Said) -> None:
    assert "Traceback" not in said.err + said.out
    assert "fault of raypipe" not in said.err
