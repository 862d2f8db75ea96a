"""The sweep of a run that made none is told as such, whatever the run is of."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from raypipe.app.sweep import sweep
from raypipe.engine.records import Actor, RunRecord, RunStatus
from raypipe.errors import NotFound
from raypipe.store.ledger import SqlLedger


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (None, "has no trials: it is of a script, which makes no sweeps"),
        ({"name": "flights"}, r"has no trials$"),
    ],
)
def test_a_run_without_trials_says_so(tmp_path: Path, settings: Any, told: str) -> None:
    with closing(SqlLedger.open(tmp_path / "ledger.db")) as ledger:
        run = RunRecord(
            id="20260101-000000-aaaaaa",
            project="mine",
            pipeline="flow",
            status=RunStatus.RUNNING,
            created=0.0,
            actor=Actor(user="ann", host="laptop"),
            settings=settings,
        )
        ledger.start_run(run)
    with pytest.raises(NotFound, match=told) as none:
        sweep(run.id, tmp_path)
    assert "tuning.space" in str(none.value.hint)
