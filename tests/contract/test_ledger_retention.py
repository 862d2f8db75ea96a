"""What has had its time goes, and nothing that is needed does, however old it is."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from raypipe.app.retention import keep_of, longest
from raypipe.config.store import KeepConfig
from raypipe.engine.records import (
    Actor,
    ArtifactStat,
    Effect,
    Explanation,
    Fingerprint,
    Metric,
    Reason,
    Result,
    Review,
    RunRecord,
    RunStatus,
    StepState,
)
from raypipe.errors import NotFound
from raypipe.store.ledger import SqlLedger
from raypipe.store.postgres_url import parse
from raypipe.store.retention import Keep, Old
from raypipe.store.rows import ModelVersionRow

ANN = Actor(user="ann", host="laptop")
AGED = 1_000.0
"""Runs and results from before are old."""
ALL = Keep(runs=AGED, newest=0, results=AGED, superseded=AGED, metrics=AGED, expired=AGED)
"""Nothing old is kept for its own sake."""


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request, tmp_path) -> Iterator[SqlLedger]:
    if request.param == "sqlite":
        place = tmp_path / "ledger.db"
    else:
        place = parse(request.getfixturevalue("postgres").url())
    with closing(SqlLedger.open(place)) as ledger:
        yield ledger


def begun(ledger: SqlLedger, number: int, at: float, *, ended: bool = True, **changes) -> str:
    """Enter a run with an attempt and a curve."""
    run = RunRecord(
        id=f"20260101-{number:06d}-aaaaaa",
        project="mine",
        pipeline="flow",
        status=RunStatus.RUNNING,
        created=at,
        actor=ANN,
    )
    ledger.start_run(replace(run, **changes))
    ledger.end_execution(ledger.start_execution(run.id, "load", key="none", host="h"), "succeeded")
    ledger.record_metrics(run.id, "load", [Metric(name="loss", value=0.5, step=0, time=at)])
    if ended:
        ledger.end_run(run.id, RunStatus.SUCCEEDED)
    return run.id


def made(ledger: SqlLedger, key: str, run: str, at: float, **changes) -> Result:
    """Enter a result with code of its own."""
    told = Explanation(fingerprint=f"f {key}", parameters={}, inputs={}, environment={})
    result = Result(
        key=key,
        step="load",
        root=f"r {key}",
        artifacts=(ArtifactStat(digest=f"r {key}", size=1, mtime_ns=1),),
        explanation=told,
        run=run,
        seconds=1.0,
        created=at,
    )
    code = Fingerprint(
        digest=f"f {key}",
        symbols={"m:load": f"s {key}", "m:shared": "shared"},
        packages={},
        sources={f"s {key}": "x = 1", "shared": "y = 2"},
    )
    return ledger.record(replace(result, **changes), code)


def used(ledger: SqlLedger, key: str, run: str) -> None:
    """Enter that a run found a result."""
    reason = Reason(kind="same")
    ledger.save_steps(run, [StepState(name="load", action="hit", reason=reason, key=key)])


def clean(ledger: SqlLedger, keep: Keep = ALL) -> Old:
    """Remove what has had its time."""
    old = ledger.find_old(keep)
    ledger.remove_old(old)
    return old


def there(ledger: SqlLedger, run: str) -> bool:
    try:
        ledger.get_run(run)
    except NotFound:
        return False
    return True


def test_an_old_run_goes_with_all_that_is_its_own(ledger):
    run, young = begun(ledger, 1, 500.0), begun(ledger, 2, 1_500.0)
    assert clean(ledger).runs == (run,)
    assert not there(ledger, run)
    assert ledger.run_steps(run) == ledger.executions(run) == ledger.metrics(run) == []
    assert there(ledger, young)
    assert ledger.executions(young)
    assert ledger.metrics(young)
    assert ledger.find_old(ALL).count == 0


def test_effects_that_were_given_up_long_ago_go_but_an_accepted_capture_stays(ledger, monkeypatch):
    monkeypatch.setattr(ledger, "_now", lambda: 500.0)
    kinds = {"gateway": "gateway", "notice": "notice", "captured": "captured", "young": "notice"}
    ledger.ask_for([Effect(key=key, kind=kind, payload={}) for key, kind in kinds.items()])
    for key in kinds:
        monkeypatch.setattr(ledger, "_now", lambda key=key: 1_500.0 if key == "young" else 500.0)
        begun = ledger.begin_delivery(ledger.effect(key), 0.0)
        ledger.not_delivered(begun, "refused", given_up=True)
    assert ledger.find_old(ALL).effects == (), "runs' time is not theirs"

    ledger.remove_old(ledger.find_old(replace(ALL, given_up=AGED)))
    assert [one.key for one in ledger.outbox()] == ["captured", "young"]


def test_effects_that_came_to_their_end_go_and_those_that_are_open_stay(ledger, monkeypatch):
    kinds = ("delivered", "dropped", "given up", "waiting", "young")
    monkeypatch.setattr(ledger, "_now", lambda: 500.0)
    ledger.ask_for([Effect(key=kind, kind="notice", payload={}) for kind in kinds])
    ledger.delivered(ledger.effect("delivered"))
    ledger.drop_effect("dropped")
    begun = ledger.begin_delivery(ledger.effect("given up"), 0.0)
    ledger.not_delivered(begun, "refused", given_up=True)
    monkeypatch.setattr(ledger, "_now", lambda: 1_500.0)
    ledger.delivered(ledger.effect("young"))

    assert ledger.find_old(Keep()).effects == (), "nothing old is asked for"
    assert len(clean(ledger).effects) == 2
    assert [one.key for one in ledger.outbox()] == ["given up", "waiting", "young"]
    assert ledger.find_old(ALL).count == 0


def test_to_look_removes_nothing(ledger):
    run = begun(ledger, 1, 500.0)
    assert ledger.find_old(ALL).runs == (run,)
    assert there(ledger, run)


@pytest.mark.parametrize("status", ["running", "waiting"])
def test_a_run_that_is_not_over_stays(ledger, status):
    run = begun(ledger, 1, 500.0, ended=False)
    if status == "waiting":
        ledger.end_run(run, RunStatus.WAITING)
    clean(ledger)
    assert there(ledger, run)


def test_the_newest_runs_of_each_pipeline_stay(ledger):
    runs = [begun(ledger, n, 500.0 + n) for n in range(3)]
    other = begun(ledger, 9, 400.0, pipeline="other")
    assert clean(ledger, replace(ALL, newest=2)).runs == (runs[0],)
    assert there(ledger, other)


@pytest.mark.parametrize("what", ["version", "open review", "decided review"])
def test_what_a_person_may_ask_for_stays_with_its_run_and_results(ledger, what):
    maker, run = begun(ledger, 1, 400.0), begun(ledger, 2, 500.0)
    made(ledger, "k", maker, 400.0)
    made(ledger, "old", run, 500.0)
    ledger.supersede("old", "lost artifact")
    used(ledger, "k", run)
    if what == "version":
        version = ModelVersionRow(
            model="delay",
            version="1.0.0",
            bundle="b",
            candidate="c",
            evaluation="e",
            run=run,
            created=1.0,
            actor=ANN,
            changelog={},
            lineage={},
        )
        ledger.add_version(version)
    else:
        review = Review(
            id="abc123",
            project="mine",
            pipeline="flow",
            step="accept",
            run=run,
            evidence="e1",
            status="open",
            created=1.0,
        )
        ledger.open_review(review)
        if what == "decided review":
            ledger.decide_review("abc123", "approved", ANN, "")
    old = clean(ledger)
    assert (old.unused, old.superseded, old.runs) == ((), (), ())
    assert ledger.metrics(run)
    assert ledger.run_steps(run)
    assert ledger.live_results(["k"], 0.0)
    assert len(ledger.used_results("mine", "flow", "load")) == 2


def test_a_result_that_nobody_uses_any_more_goes_out_of_use_and_later_goes(ledger):
    run = begun(ledger, 1, 500.0)
    made(ledger, "k", run, 500.0)
    assert clean(ledger).unused == ("k",)
    assert not ledger.live_results(["k"], 0.0)
    assert clean(ledger).superseded
    assert ledger.used_results("mine", "flow", "load") == []
    assert ledger.live_artifacts() == set()


def test_a_result_that_was_used_since_stays_with_who_made_it(ledger):
    maker, user = begun(ledger, 1, 500.0), begun(ledger, 2, 1_500.0)
    made(ledger, "k", maker, 500.0)
    used(ledger, "k", user)
    old = clean(ledger)
    assert (old.unused, old.runs, old.curves) == ((), (), (maker,))
    assert ledger.live_results(["k"], 0.0)
    assert there(ledger, maker)
    assert [run for _, run in ledger.used_results("mine", "flow", "load")] == [user]


def test_who_used_a_result_last_stays_where_results_are_kept_for_ever(ledger):
    maker, user = begun(ledger, 1, 400.0), begun(ledger, 2, 500.0)
    made(ledger, "k", maker, 400.0)
    used(ledger, "k", user)
    clean(ledger, replace(ALL, results=Keep().results))
    assert there(ledger, maker)
    assert there(ledger, user)


def test_an_expired_result_goes_out_of_use(ledger):
    run = begun(ledger, 1, 1_500.0)
    made(ledger, "k", run, 1_500.0, expires=900.0)
    made(ledger, "q", run, 1_500.0, expires=9_000.0)
    assert clean(ledger).unused == ("k",)
    assert ledger.live_results(["k", "q"], 0.0).keys() == {"q"}


def test_a_result_out_of_use_stays_for_its_time(ledger):
    run = begun(ledger, 1, 1_500.0)
    made(ledger, "k", run, 1_500.0)
    ledger.supersede("k", "forced")
    assert clean(ledger).count == 0
    assert len(clean(ledger, replace(ALL, superseded=2_000.0)).superseded) == 1


def test_curves_may_go_before_their_runs(ledger):
    run = begun(ledger, 1, 500.0)
    assert clean(ledger, Keep(metrics=AGED)).curves == (run,)
    assert there(ledger, run)
    assert ledger.metrics(run) == []


def test_code_goes_with_the_last_result_that_it_explains(ledger):
    run, young = begun(ledger, 1, 500.0), begun(ledger, 2, 1_500.0)
    made(ledger, "old", run, 500.0)
    made(ledger, "young", young, 1_500.0)
    clean(ledger)
    assert ledger.fingerprint("f old") is not None, "it went out of use, and is there"
    clean(ledger)
    assert ledger.fingerprint("f old") is None
    assert ledger.symbol_source("s old") is None
    assert ledger.fingerprint("f young") is not None
    assert ledger.symbol_source("s young") == "x = 1"
    assert ledger.symbol_source("shared") == "y = 2"


def test_nothing_goes_where_everything_is_kept_for_ever(ledger):
    run = begun(ledger, 1, 500.0)
    made(ledger, "k", run, 500.0)
    made(ledger, "q", run, 500.0)
    ledger.supersede("q", "forced")
    assert ledger.find_old(Keep(newest=0)).count == 0


def test_more_than_goes_at_once_goes(ledger):
    for number in range(600):
        run = RunRecord(
            id=f"20260101-{number:06d}-aaaaaa",
            project="mine",
            pipeline="flow",
            status=RunStatus.SUCCEEDED,
            created=500.0,
            actor=ANN,
        )
        ledger.start_run(run)
    assert len(clean(ledger).runs) == 600
    assert ledger.list_runs() == []


# --- how long -----------------------------------------------------------------------------------


def test_days_become_points_in_time():
    keep = keep_of(KeepConfig(runs=2, metrics=None, newest=3), now=10 * 86_400.0)
    assert keep.runs == 8 * 86_400.0
    assert keep.metrics == Keep().metrics
    assert (keep.newest, keep.expired) == (3, 10 * 86_400.0)


def test_of_several_pipelines_the_longest_times_hold():
    asked = [KeepConfig(runs=10, metrics=5), KeepConfig(runs=20, newest=50, results=None)]
    assert longest(asked) == KeepConfig(runs=20, newest=50, results=None, metrics=None)
    assert longest([]) == KeepConfig()
