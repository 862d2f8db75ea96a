"""A file of one's own: `raypipe init`, then the commands that it prints, and nothing else."""

import shlex

import pytest

from tests.conftest import Project

pytestmark = pytest.mark.slow

TABLE = "".join(
    f"{n},{n * 37 % 101},{n * 53 % 97 / 7},{'ab'[n % 2]},{'high' if n * 37 % 101 > 50 else 'low'}\n"
    for n in range(1, 241)
)


def test_what_init_writes_runs_as_it_is(project: Project) -> None:
    project.write("My rows.csv", "id,size,weight,kind,level\n" + TABLE)

    said = project.raypipe("init", "My rows.csv", "--target", "level", "--json").result["init"]
    assert (said["file"], said["task"]) == ("my-rows.yaml", "binary")
    assert project.raypipe("config", "check", "my-rows.yaml").code == 0

    for command in said["next"]:
        last = project.raypipe(*shlex.split(command)[1:], "--json")
        assert last.code == 0, last.err
    assert last.result["status"] == "waiting"
    review = project.raypipe("review", "show", last.result["reviews"][0]["id"], "--json").result
    auc = float(review["review"]["shown"]["metrics"]["auc"].split()[0])
    assert auc > 0.95  # `size` tells the level, though not so that a value of it were the label


def test_what_init_refuses_has_its_exit_code_and_next_step(project: Project) -> None:
    project.write("rows.csv", "a,b\n" + "".join(f"{n % 7},{n % 2}\n" for n in range(40)))

    missing = project.raypipe("init", "rows.csv", "--target", "c")
    assert (missing.code, "there is no column 'c'" in missing.err) == (2, True)
    assert "→ The columns are a, b." in missing.err
    assert project.raypipe("init", "nowhere.csv", "--target", "a").code == 9

    assert project.raypipe("init", "rows.csv", "--target", "b").code == 0
    again = project.raypipe("init", "rows.csv", "--target", "b")
    assert (again.code, "--force" in again.err) == (2, True)
    assert project.raypipe("init", "rows.csv", "--target", "b", "--force").code == 0
