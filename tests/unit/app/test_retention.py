"""`raypipe clean` removes old runs by what the newest settings keep, with their folders."""

from contextlib import closing
from pathlib import Path

import pytest

from raypipe.app.clean import clean
from raypipe.app.retention import retire
from raypipe.cli.render_home import cleaning
from raypipe.engine.records import Actor, RunRecord, RunStatus
from raypipe.store.ledger import SqlLedger
from raypipe.store.paths import HomePaths


def filled(home: Path, keep: dict[str, object] | None) -> HomePaths:
    """Make a home with 25 runs of long ago; the settings of the newest are as given."""
    paths = HomePaths(home)
    home.mkdir()
    with closing(SqlLedger.open(paths.ledger)) as ledger:
        for number in range(25):
            run = RunRecord(
                id=f"20200101-{number:06d}-aaaaaa",
                project="mine",
                pipeline="flow",
                status=RunStatus.SUCCEEDED,
                created=1_500_000_000.0 + number,
                actor=Actor(user="ann", host="laptop"),
                settings={"store": {"keep": keep}} if keep is not None and number == 24 else None,
            )
            ledger.start_run(run)
            (paths.runs / run.id).mkdir(parents=True)
            (paths.runs / run.id / "load.log").write_text("loaded\n")
    return paths


@pytest.mark.parametrize(
    ("keep", "gone"),
    [
        (None, 5),
        ({}, 5),
        ({"newest": 10}, 15),
        ({"runs": None}, 0),
        ({"newest": 10, "of an earlier raypipe": 1}, 15),
        ({"runs": "as an earlier raypipe wrote it"}, 0),
    ],
)
def test_runs_go_by_the_settings_of_the_newest_one(tmp_path, keep, gone):
    paths = filled(tmp_path / "home", keep)
    assert retire(paths.home, dry_run=True)["runs"] == gone
    assert len(list(paths.runs.iterdir())) == 25
    assert retire(paths.home, dry_run=False)["runs"] == gone
    left = sorted(folder.name for folder in paths.runs.iterdir())
    with closing(SqlLedger.open(paths.ledger)) as ledger:
        assert left == sorted(run.id for run in ledger.list_runs(limit=100))
    assert left == [f"20200101-{number:06d}-aaaaaa" for number in range(gone, 25)]


def test_clean_says_what_goes_before_it_goes(tmp_path):
    paths = filled(tmp_path / "home", None)
    assert "5 runs" in cleaning(clean(paths.home))
    assert "5 runs" in cleaning(clean(paths.home, dry_run=False))
    assert "5 runs" not in cleaning(clean(paths.home))
