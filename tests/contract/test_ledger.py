"""What every ledger promises: records stay, the first of a key wins, a decision stands."""

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from raypipe.engine.records import (
    Actor,
    ArtifactStat,
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
from raypipe.errors import NotFound, UsageError
from raypipe.store.ledger import SqlLedger
from raypipe.store.postgres_url import PostgresUrl, parse
from raypipe.store.rows import ModelVersionRow

LEDGERS = ["sqlite", "postgres"]

ANN = Actor(user="ann", host="laptop", name="Ann")
BOB = Actor(user="bob", host="laptop")
FINGERPRINT = Fingerprint(
    digest="f1",
    symbols={"m:load": "s1"},
    packages={"numpy": "2.4"},
    widened=("m: getattr",),
    sources={"s1": "def load(): ..."},
)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=LEDGERS)
def place(request, tmp_path) -> Path | PostgresUrl:
    """Where a ledger of this test's own is to be."""
    if request.param == "sqlite":
        return tmp_path / "ledger.db"
    return parse(request.getfixturevalue("postgres").url())


@pytest.fixture
def open_ledger(place, clock) -> Iterator[Callable[[], SqlLedger]]:
    """Opens the same ledger again each time, as another process would."""
    opened = []

    def another() -> SqlLedger:
        opened.append(SqlLedger.open(place, now=clock))
        return opened[-1]

    yield another
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_ledger) -> SqlLedger:
    ledger = open_ledger()
    ledger.start_run(run("20260101-000001-aaaaaa"))
    return ledger


def run(name: str, **changes) -> RunRecord:
    record = RunRecord(
        id=name,
        project="mine",
        pipeline="flow",
        status=RunStatus.RUNNING,
        created=float(name[9:15]),
        actor=ANN,
    )
    return replace(record, **changes)


def result(key="k", *, root="r1", of="20260101-000001-aaaaaa", **changes) -> Result:
    made = Result(
        key=key,
        step="load",
        root=root,
        artifacts=(
            ArtifactStat(digest=root, size=10, mtime_ns=123),
            ArtifactStat(digest="blob", size=2**40, mtime_ns=1_700_000_000_123_456_789),
        ),
        explanation=Explanation(
            fingerprint="f1",
            parameters={"rows": "p1"},
            inputs={"table": "i1"},
            environment={"env:HOME": "e1"},
            shown={"rows": "5"},
        ),
        run=of,
        seconds=1.5,
        created=999.0,
    )
    return replace(made, **changes)


# --- runs ---------------------------------------------------------------------------------------


def test_a_run_is_found_again_as_it_was_started(ledger, open_ledger):
    started = run(
        "20260102-000002-bbbbbb",
        parameters={"target": "a.py"},
        settings={"seed": 7},
        commits={"local://a/main": "c1"},
    )
    ledger.start_run(started)
    assert open_ledger().get_run(started.id) == started


def test_a_run_comes_to_rest_with_its_error(ledger, clock):
    clock.time = 2_000.0
    ledger.end_run("20260101-000001-aaaaaa", RunStatus.FAILED, {"kind": "ValueError"})
    ended = ledger.get_run("20260101-000001-aaaaaa")
    assert (ended.status, ended.ended, ended.error) == (
        RunStatus.FAILED,
        2_000.0,
        {"kind": "ValueError"},
    )


def test_a_run_that_was_cancelled_stays_cancelled(ledger):
    ledger.end_run("20260101-000001-aaaaaa", RunStatus.CANCELLED)
    ledger.end_run("20260101-000001-aaaaaa", RunStatus.SUCCEEDED)
    assert ledger.get_run("20260101-000001-aaaaaa").status is RunStatus.CANCELLED


def test_cancelling_wins_over_a_later_end_and_not_over_an_earlier_one(ledger):
    run_id = "20260101-000001-aaaaaa"
    attempt = ledger.start_execution(run_id, "f", key="k", host="h")
    assert ledger.cancel_run(run_id, {"message": "by ann"})
    assert ledger.cancel_run(run_id, {"message": "by bob"})
    assert ledger.end_run(run_id, RunStatus.SUCCEEDED) is RunStatus.CANCELLED
    assert ledger.standing(run_id) == (RunStatus.CANCELLED, {"message": "by ann"})
    ledger.end_execution(attempt, "succeeded")
    assert [row.status for row in ledger.executions(run_id)] == ["cancelled"]

    ledger.start_run(run("20260101-000002-bbbbbb"))
    assert ledger.end_run("20260101-000002-bbbbbb", RunStatus.SUCCEEDED) is RunStatus.SUCCEEDED
    assert not ledger.cancel_run("20260101-000002-bbbbbb", {"message": "late"})
    assert ledger.standing("20260101-000002-bbbbbb") == (RunStatus.SUCCEEDED, None)


def test_a_run_that_waits_for_a_review_can_be_cancelled(ledger):
    ledger.end_run("20260101-000001-aaaaaa", RunStatus.WAITING)
    assert ledger.cancel_run("20260101-000001-aaaaaa", {"message": "by ann"})
    assert ledger.standing("20260101-000001-aaaaaa")[0] is RunStatus.CANCELLED


def test_ending_a_run_that_never_began_is_an_error(ledger):
    with pytest.raises(NotFound, match="no run 'x'"):
        ledger.end_run("x", RunStatus.SUCCEEDED)


def test_runs_are_listed_newest_first_by_project(ledger):
    ledger.start_run(run("20260101-000003-cccccc", project="other"))
    ledger.start_run(run("20260101-000002-bbbbbb"))
    assert [r.id[-6:] for r in ledger.list_runs()] == ["cccccc", "bbbbbb", "aaaaaa"]
    assert [r.id[-6:] for r in ledger.list_runs("mine")] == ["bbbbbb", "aaaaaa"]
    assert [r.id[-6:] for r in ledger.list_runs(limit=1)] == ["cccccc"]


def test_runs_are_listed_by_pipeline_status_and_time(ledger):
    ledger.end_run("20260101-000001-aaaaaa", RunStatus.FAILED)
    ledger.start_run(run("20260102-000002-bbbbbb", pipeline="other"))
    ledger.start_run(run("20260103-000003-cccccc"))

    def listed(**asked):
        return [found.id[-1] for found in ledger.list_runs(**asked)]

    assert listed(pipeline="flow") == ["c", "a"]
    assert listed(status="running") == ["c", "b"]
    assert listed(status="failed", pipeline="flow") == ["a"]
    assert listed(since=2.0) == ["c", "b"]
    assert listed(since=2.0, limit=1) == ["c"]
    assert listed(project="mine", status="running", pipeline="other") == ["b"]
    assert listed(project="another", status="running") == []


def test_the_code_that_a_run_uses_is_kept_with_it(ledger, open_ledger):
    one = run("20260102-000002-bbbbbb", given={"n": {"value": 1}}, place="flow.py")
    ledger.start_run(one)
    assert ledger.kept_code(10) == set()
    ledger.keep_code(one.id, "d1")
    ledger.keep_code("no such run", "d2")
    ledger.start_run(run("20260103-000003-cccccc", code="d3", resumes=one.id))
    assert open_ledger().get_run(one.id) == replace(one, code="d1")
    assert open_ledger().kept_code(10) == {"d1", "d3"}


@pytest.mark.parametrize("name", ["20260101-000001-aaaaaa", "20260101", "aaaaaa"])
def test_a_run_is_found_by_the_start_or_the_end_of_its_id(ledger, name):
    assert ledger.get_run(name).id == "20260101-000001-aaaaaa"


def test_a_name_that_several_runs_have_is_an_error_unless_it_is_whole(ledger):
    ledger.start_run(run("20260101-000001-aaa"))
    with pytest.raises(UsageError, match="several runs"):
        ledger.get_run("20260101")
    assert ledger.get_run("20260101-000001-aaa").id == "20260101-000001-aaa"


@pytest.mark.parametrize("name", ["20260101-000001-aaaaab", "", "%"])
def test_an_unknown_run_is_not_found(ledger, name):
    with pytest.raises(NotFound) as missing:
        ledger.get_run(name)
    assert missing.value.hint


def test_an_unknown_run_is_answered_with_the_nearest(ledger):
    with pytest.raises(NotFound) as missing:
        ledger.get_run("20260101-000001-aaaaab")
    assert "20260101-000001-aaaaaa" in str(missing.value.hint)


def state(name: str, **changes) -> StepState:
    made = StepState(name=name, action="execute", reason=Reason(kind="new"), key=f"key of {name}")
    return replace(made, **changes)


def test_steps_of_a_run_keep_their_order_when_some_are_saved_again(ledger, open_ledger):
    ledger.save_steps("20260101-000001-aaaaaa", [state("load"), state("train")])
    done = state("train", digest="d", seconds=0.5, reason=Reason(kind="code", what="m:f"))
    ledger.save_steps("20260101-000001-aaaaaa", [done, state("report")])
    steps = open_ledger().run_steps("20260101-000001-aaaaaa")
    assert steps == [state("load"), done, state("report")]


# --- executions ---------------------------------------------------------------------------------


def test_attempts_at_a_step_are_counted_and_end_once(ledger, clock):
    of = "20260101-000001-aaaaaa"
    first = ledger.start_execution(of, "load", key="k", host="h", reason="new")
    clock.time = 1_005.0
    ledger.end_execution(first, "failed", {"kind": "ValueError"})
    second = ledger.start_execution(of, "load", key="k", host="h")
    other = ledger.start_execution(of, "train", key="q", host="h")
    ledger.end_execution(first, "succeeded")

    rows = ledger.executions(of)
    assert [(row.id, row.step, row.attempt) for row in rows] == [
        (first, "load", 1), (second, "load", 2), (other, "train", 1),
    ]  # fmt: skip
    assert [row.status for row in rows] == ["failed", "running", "running"]
    assert (rows[0].ended, rows[0].error) == (1_005.0, {"kind": "ValueError"})


# --- results ------------------------------------------------------------------------------------


def test_a_result_is_found_by_its_key_with_all_that_was_recorded(ledger, open_ledger):
    recorded = ledger.record(result(), FINGERPRINT)
    assert recorded.id > 0
    assert open_ledger().live_results(["k", "other"], 1_000.0) == {"k": recorded}
    assert recorded == result(id=recorded.id)


def test_the_first_result_of_a_key_wins(ledger, open_ledger):
    first = ledger.record(result(), FINGERPRINT)
    assert open_ledger().record(result(root="r2"), FINGERPRINT) == first
    assert ledger.live_results(["k"], 0.0) == {"k": first}


def test_a_forced_result_takes_the_place_of_the_first(ledger):
    ledger.record(result(), FINGERPRINT)
    forced = ledger.record(result(root="r2"), FINGERPRINT, forced=True)
    assert ledger.live_results(["k"], 0.0) == {"k": forced}
    assert forced.root == "r2"


def test_a_result_is_no_longer_found_once_it_expired(ledger):
    ledger.record(result(expires=1_500.0), FINGERPRINT)
    assert ledger.live_results(["k"], 1_499.0)
    assert not ledger.live_results(["k"], 1_500.0)


def test_an_expired_result_gives_way_to_a_new_one(ledger, clock):
    ledger.record(result(expires=1_500.0), FINGERPRINT)
    clock.time = 1_500.0
    again = ledger.record(result(root="r2", expires=3_000.0), FINGERPRINT)
    assert ledger.live_results(["k"], 1_600.0) == {"k": again}
    assert again.root == "r2"


def test_a_superseded_result_is_not_found_but_stays_for_lineage(ledger):
    old = ledger.record(result(), FINGERPRINT)
    ledger.supersede("k", "lost artifact")
    assert not ledger.live_results(["k"], 0.0)
    assert ledger.latest_result("mine", "flow", "load") == old
    assert ledger.record(result(root="r2"), FINGERPRINT).root == "r2"


def test_a_result_of_a_key_is_to_be_had_though_it_is_out_of_use(ledger):
    first = ledger.record(result(), FINGERPRINT)
    ledger.supersede("k", "lost artifact")
    assert ledger.result_of("k") == first
    second = ledger.record(result(root="r2"), FINGERPRINT)
    assert ledger.result_of("k") == second
    assert ledger.result_of("another") is None


def test_how_long_a_step_took_is_told_the_newest_first(ledger):
    for number in range(4):
        ledger.record(result(f"k{number}", seconds=float(number)), FINGERPRINT)
    ledger.record(result("other", step="train", seconds=9.0), FINGERPRINT)
    assert ledger.step_seconds("mine", "flow", "load") == (3.0, 2.0, 1.0, 0.0)
    assert ledger.step_seconds("mine", "flow", "load", limit=2) == (3.0, 2.0)
    assert ledger.step_seconds("mine", "another", "load") == ()


def test_the_artifacts_of_live_results_are_reached(ledger):
    ledger.record(result(), FINGERPRINT)
    ledger.record(result("q", root="r2"), FINGERPRINT)
    ledger.supersede("k", "lost artifact")
    assert ledger.live_artifacts() == {"r2", "blob"}


def test_the_latest_result_of_a_step_is_that_of_the_newest_run_that_used_it(ledger):
    """Going back to older code makes the older result the latest."""
    old = ledger.record(result("old"), FINGERPRINT)
    ledger.start_run(run("20260101-000002-bbbbbb"))
    new = ledger.record(result("new", of="20260101-000002-bbbbbb"), FINGERPRINT)
    assert ledger.latest_result("mine", "flow", "load") == new

    ledger.start_run(run("20260101-000003-cccccc"))
    ledger.save_steps("20260101-000003-cccccc", [state("load", key="old", action="hit")])
    assert ledger.latest_result("mine", "flow", "load") == old
    assert ledger.used_results("mine", "flow", "load") == [
        (old, "20260101-000003-cccccc"),
        (new, "20260101-000002-bbbbbb"),
    ]


def test_what_many_runs_used_again_does_not_hide_what_was_used_before(ledger):
    old = ledger.record(result("old"), FINGERPRINT)
    for number in range(2, 9):
        name = f"20260101-00000{number}-bbbbbb"
        ledger.start_run(run(name))
        if number == 2:
            new = ledger.record(result("new", of=name), FINGERPRINT)
        ledger.save_steps(name, [state("load", key="new", action="hit")])
    found = ledger.used_results("mine", "flow", "load", limit=2)
    assert [one for one, _ in found] == [new, old]


def test_a_run_whose_process_is_gone_ends_with_its_attempts(ledger):
    ledger.start_execution("20260101-000001-aaaaaa", "load", key="k", host="h")
    assert [one.id for one in ledger.running()] == ["20260101-000001-aaaaaa"]
    assert ledger.end_lost("20260101-000001-aaaaaa", {"message": "gone"})
    assert ledger.running() == []
    ended = ledger.get_run("20260101-000001-aaaaaa")
    assert (ended.status, ended.error) == ("failed", {"message": "gone"})
    (attempt,) = ledger.executions("20260101-000001-aaaaaa")
    assert (attempt.status, attempt.error) == ("failed", {"message": "gone"})


@pytest.mark.parametrize("status", ["succeeded", "waiting", "rejected"])
def test_a_run_that_came_to_rest_before_it_was_taken_for_lost_stays_so(ledger, status):
    ledger.end_run("20260101-000001-aaaaaa", RunStatus(status))
    assert not ledger.end_lost("20260101-000001-aaaaaa", {"message": "gone"})
    ended = ledger.get_run("20260101-000001-aaaaaa")
    assert (ended.status, ended.error) == (status, None)


def test_a_run_that_made_a_result_has_used_it_once(ledger):
    made = ledger.record(result(), FINGERPRINT)
    ledger.save_steps("20260101-000001-aaaaaa", [state("load", key="k")])
    assert ledger.used_results("mine", "flow", "load") == [(made, "20260101-000001-aaaaaa")]


@pytest.mark.parametrize("of", [("other", "flow"), ("mine", "other")])
def test_results_of_other_projects_and_pipelines_are_not_the_latest(ledger, of):
    ledger.record(result(), FINGERPRINT)
    assert ledger.latest_result(*of, "load") is None


def test_a_fingerprint_and_its_sources_are_kept(ledger, open_ledger):
    ledger.record(result(), FINGERPRINT)
    again = open_ledger()
    assert again.fingerprint("f1") == FINGERPRINT
    assert again.symbol_source("s1") == "def load(): ..."
    assert again.fingerprint("f2") is None
    assert again.symbol_source("s2") is None


OPEN = """
import sys
from pathlib import Path
from raypipe.store.ledger import SqlLedger
from raypipe.store.postgres_url import is_postgres, parse
place = sys.argv[1]
ledger = SqlLedger.open(parse(place) if is_postgres(place) else Path(place))
"""
RECORDER = (
    OPEN
    + """
sys.path.insert(0, sys.argv[2])
from test_ledger import FINGERPRINT, result
roots = [ledger.record(result(f"k{n}", root=sys.argv[3]), FINGERPRINT).root for n in range(30)]
print(" ".join(roots))
"""
)


def shown(place: Path | PostgresUrl) -> str:
    """Return a place as a word of a command."""
    return str(place) if isinstance(place, Path) else place.shown


def test_processes_that_record_the_same_keys_agree_on_the_first_of_each(ledger, place):
    command = [sys.executable, "-c", RECORDER, shown(place), str(Path(__file__).parent)]
    started = [
        subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in "ab"
    ]
    said = [process.communicate()[0].split() for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert said[0] == said[1]
    live = ledger.live_results([f"k{n}" for n in range(30)], 0.0)
    assert [live[f"k{n}"].root for n in range(30)] == said[0]


def test_processes_that_make_the_ledger_at_once_all_succeed(place):
    command = [sys.executable, "-c", OPEN + "ledger.list_runs()", shown(place)]
    started = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait() for process in started] == [0] * 4


def test_a_ledger_can_be_used_by_several_threads(ledger):
    def record(name: str) -> None:
        for number in range(20):
            made = ledger.record(result(f"{name}{number}"), FINGERPRINT)
            ledger.record_metrics(made.run, name, [metric("loss", number, 0.5)])

    threads = [Thread(target=record, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys = [f"{name}{number}" for name in "abc" for number in range(20)]
    assert ledger.live_results(keys, 0.0).keys() == set(keys)


# --- metrics ------------------------------------------------------------------------------------


def metric(name: str, at: int, value: float) -> Metric:
    return Metric(name=name, value=value, step=at, time=5.0)


def test_metrics_come_back_curve_by_curve(ledger, open_ledger):
    of = "20260101-000001-aaaaaa"
    ledger.record_metrics(of, "load", [metric("loss", 1, 0.5), metric("auc", 0, 0.6)])
    ledger.record_metrics(of, "load", [metric("loss", 0, math.inf), metric("auc", 0, 0.7)])
    ledger.record_metrics(of, "train", [metric("loss", 0, 0.1)])
    points = [metric("auc", 0, 0.7), metric("loss", 0, math.inf), metric("loss", 1, 0.5)]
    assert open_ledger().metrics(of, "load") == points
    assert open_ledger().metrics(of) == [*points, metric("loss", 0, 0.1)]


def test_a_metric_that_is_not_a_number_is_kept_as_such(ledger):
    ledger.record_metrics("20260101-000001-aaaaaa", "train", [metric("loss", 0, math.nan)])
    (point,) = ledger.metrics("20260101-000001-aaaaaa")
    assert math.isnan(point.value)


# --- reviews ------------------------------------------------------------------------------------


def review(name="abc123", **changes) -> Review:
    made = Review(
        id=name,
        project="mine",
        pipeline="flow",
        step="accept",
        run="20260101-000001-aaaaaa",
        evidence="e1",
        status="open",
        created=1.0,
    )
    return replace(made, **changes)


def test_a_review_is_asked_for_once_for_the_same_evidence(ledger, open_ledger):
    asked = ledger.open_review(review())
    again = open_ledger().open_review(review("other", run="later"))
    assert again == asked == review()
    assert ledger.find_review("mine", "flow", "accept", "e1") == asked


@pytest.mark.parametrize("change", ["project", "pipeline", "step", "evidence"])
def test_a_review_of_something_else_with_the_same_id_is_another_review(ledger, change):
    ledger.open_review(review())
    other = ledger.open_review(review(**{change: "other"}))
    assert other.id != "abc123"
    assert len(ledger.list_reviews()) == 2
    assert ledger.get_review(other.id) == other


def test_a_decision_says_who_when_and_why(ledger, open_ledger, clock):
    ledger.open_review(review())
    clock.time = 2_000.0
    decided = ledger.decide_review("abc", "approved", ANN, "looks right")
    assert decided == review(status="approved", actor=ANN, note="looks right", decided=2_000.0)
    assert open_ledger().find_review("mine", "flow", "accept", "e1") == decided
    assert open_ledger().open_review(review("other")) == decided


def test_the_same_decision_again_changes_nothing(ledger):
    ledger.open_review(review())
    first = ledger.decide_review("abc123", "rejected", ANN, "no")
    assert ledger.decide_review("abc123", "rejected", BOB, "me too") == first


def test_another_decision_is_refused_naming_who_and_when(ledger, clock):
    clock.time = 86_400.0 * 3
    ledger.open_review(review())
    ledger.decide_review("abc123", "rejected", ANN, "no")
    with pytest.raises(UsageError, match=r"rejected by Ann on 1970-01-0[345]"):
        ledger.decide_review("abc123", "approved", BOB, "yes")
    assert ledger.get_review("abc123").status == "rejected"


def test_reviews_are_listed_newest_first_by_status(ledger):
    ledger.open_review(review())
    ledger.decide_review("abc", "approved", ANN, "")
    ledger.open_review(review("def456", evidence="e2", created=2.0))
    assert [r.id for r in ledger.list_reviews()] == ["def456", "abc123"]
    assert [r.id for r in ledger.list_reviews("open")] == ["def456"]


def test_an_unknown_review_is_answered_with_the_nearest(ledger):
    ledger.open_review(review())
    with pytest.raises(NotFound) as missing:
        ledger.get_review("abc124")
    assert "abc123" in str(missing.value.hint)


def test_a_name_that_several_reviews_have_is_an_error(ledger):
    ledger.open_review(review("abc1"))
    ledger.open_review(review("abc2", evidence="e2"))
    with pytest.raises(UsageError, match="several reviews"):
        ledger.get_review("abc")


# --- models -------------------------------------------------------------------------------------


def version(number="1.0.0", *, bundle="b1", **changes) -> ModelVersionRow:
    made = ModelVersionRow(
        model="delay",
        version=number,
        bundle=bundle,
        candidate="c1",
        evaluation="v1",
        run="20260101-000001-aaaaaa",
        created=1.0,
        actor=ANN,
        changelog=["first"],
        lineage={"data": "d1"},
    )
    return replace(made, **changes)


def test_a_version_is_found_by_its_number_and_by_an_alias(ledger, open_ledger):
    added = ledger.add_version(version())
    ledger.set_alias("delay", "champion", "1.0.0", ANN)
    again = open_ledger()
    assert again.version("delay", "1.0.0") == again.version("delay", "champion") == added
    assert added == version()
    assert again.models() == ["delay"]


def test_a_bundle_has_one_version_however_often_it_is_entered(ledger):
    added = ledger.add_version(version())
    assert ledger.add_version(version("2.0.0", created=9.0), alias="champion") == added
    assert ledger.aliases(added.model) == {}
    assert ledger.versions("delay") == [added]


def test_a_number_that_is_taken_becomes_the_next_free_patch(ledger):
    numbers = [ledger.add_version(version(bundle=name)).version for name in ("b1", "b2", "b3")]
    assert numbers == ["1.0.0", "1.0.1", "1.0.2"]
    assert [row.version for row in ledger.versions("delay")] == numbers[::-1]


def test_an_alias_moves_and_remembers_who_moved_it(ledger, clock):
    ledger.add_version(version())
    ledger.add_version(version("1.1.0", bundle="b2"))
    ledger.set_alias("delay", "champion", "1.0.0", ANN)
    clock.time = 2_000.0
    ledger.set_alias("delay", "champion", "1.1.0", BOB)
    ledger.set_alias("delay", "champion", "1.1.0", ANN)
    ledger.set_alias("delay", "challenger", "champion", ANN)
    assert ledger.aliases("delay") == {"champion": "1.1.0", "challenger": "1.1.0"}
    history = [(c.alias, c.version, c.actor, c.time) for c in ledger.alias_history("delay")]
    assert history == [
        ("challenger", "1.1.0", ANN, 2_000.0),
        ("champion", "1.1.0", BOB, 2_000.0),
        ("champion", "1.0.0", ANN, 1_000.0),
    ]


def test_an_alias_that_goes_back_says_so(ledger):
    ledger.add_version(version())
    ledger.add_version(version("1.1.0", bundle="b2"))
    for name, back in (("1.0.0", False), ("1.1.0", False), ("1.0.0", True)):
        ledger.set_alias("delay", "champion", name, ANN, back=back)
    assert [change.back for change in ledger.alias_history("delay")] == [True, False, False]


def test_an_alias_that_somebody_moved_meanwhile_is_left_to_him(ledger, open_ledger):
    ledger.add_version(version())
    ledger.add_version(version("1.1.0", bundle="b2"))
    ledger.add_version(version("1.2.0", bundle="b3"))
    ledger.set_alias("delay", "champion", "1.1.0", ANN)
    open_ledger().set_alias("delay", "champion", "1.2.0", BOB)
    with pytest.raises(UsageError, match=r"moved champion of delay from 1\.1\.0 to 1\.2\.0"):
        ledger.set_alias("delay", "champion", "1.0.0", ANN, back=True, since="1.1.0")
    assert ledger.aliases("delay") == {"champion": "1.2.0"}
    ledger.set_alias("delay", "champion", "1.1.0", ANN, back=True, since="1.2.0")
    assert ledger.aliases("delay") == {"champion": "1.1.0"}


def test_an_alias_of_a_version_that_is_not_there_is_refused(ledger):
    ledger.add_version(version())
    with pytest.raises(NotFound, match=r"no version of delay '1\.0\.1'"):
        ledger.set_alias("delay", "champion", "1.0.1", ANN)
    assert ledger.aliases("delay") == {}


def test_an_unknown_model_is_answered_with_the_nearest(ledger):
    ledger.add_version(version())
    with pytest.raises(NotFound, match="no model 'dealy'") as missing:
        ledger.version("dealy", "1.0.0")
    assert "'delay'" in str(missing.value.hint)


def test_each_look_at_an_analysis_split_is_counted_once(ledger):
    for of, run in (("d1", "aaaaaa"), ("d1", "bbbbbb"), ("d1", "bbbbbb"), ("d2", "aaaaaa")):
        ledger.add_look(of, f"20260101-000001-{run}", "evaluate")
    assert [ledger.looks(of) for of in ("d1", "d2", "d3")] == [2, 1, 0]


# --- reviews that are withdrawn -------------------------------------------------------------------

FIRST, SECOND = "20260101-000001-aaaaaa", "20260101-000002-bbbbbb"


def waits(ledger, name: str, evidence: str = "e1") -> None:
    """Enter that a run waits for a review."""
    reason = Reason(kind="review", what="abc123", detail="not decided")
    state = StepState(name="accept", action="wait", reason=reason, key=evidence)
    ledger.save_steps(name, [state])
    ledger.end_run(name, RunStatus.WAITING)


def test_newer_evidence_withdraws_the_review_that_waits(ledger, open_ledger, clock):
    ledger.open_review(review())
    clock.time = 86_400.0 * 3
    ledger.open_review(review("def456", evidence="e2", created=2.0))
    gone = open_ledger().get_review("abc123")
    assert (gone.status, gone.newer, gone.decided) == ("withdrawn", "def456", clock.time)
    assert gone.note == "newer evidence opened review def456"
    with pytest.raises(UsageError, match=r"withdrawn on 1970-01-0[345].*review def456") as told:
        ledger.decide_review("abc123", "approved", ANN, "")
    assert "review show def456" in str(told.value.hint)
    assert ledger.decide_review("def456", "approved", ANN, "").status == "approved"


@pytest.mark.parametrize("change", ["project", "pipeline", "step"])
def test_a_review_of_something_else_withdraws_none(ledger, change):
    ledger.open_review(review())
    ledger.open_review(review("def456", evidence="e2", **{change: "other"}))
    assert ledger.get_review("abc123").status == "open"


@pytest.mark.parametrize(("region", "before"), [("eu", "open"), ("us", "withdrawn")])
def test_a_review_is_withdrawn_only_by_a_run_with_the_same_parameters(ledger, region, before):
    for name, asked in ((SECOND, "us"), ("20260101-000003-cccccc", region)):
        ledger.start_run(run(name, parameters={"command": name, "parameters": {"region": asked}}))
    ledger.open_review(review(run=SECOND))
    ledger.open_review(review("def456", evidence="e2", run="20260101-000003-cccccc"))
    assert ledger.get_review("abc123").status == before


def test_the_same_evidence_again_withdraws_nothing_and_tells_nobody_twice(ledger):
    told = []
    for run in (FIRST, SECOND):
        ledger.open_review(review(run=run), lambda new: told.append(new) or [])
    assert [one.status for one in ledger.list_reviews()] == ["open"]
    assert len(told) == 1


def test_a_decided_review_is_not_withdrawn(ledger):
    ledger.open_review(review())
    decided = ledger.decide_review("abc123", "rejected", ANN, "no")
    ledger.open_review(review("def456", evidence="e2"))
    assert ledger.get_review("abc123") == decided


def test_evidence_that_comes_again_asks_for_its_withdrawn_review_again(ledger):
    ledger.open_review(review())
    ledger.open_review(review("def456", evidence="e2", created=2.0))
    told = []
    again = ledger.open_review(
        review("xyz", run=SECOND, created=3.0), lambda new: told.append(new) or []
    )
    assert again == review(run=SECOND, created=3.0) == ledger.get_review("abc123")
    assert told == [again]
    assert ledger.get_review("def456").newer == "abc123"
    assert [one.id for one in ledger.list_reviews("open")] == ["abc123"]


def test_to_cancel_the_run_withdraws_the_review_that_only_it_waits_for(ledger):
    ledger.open_review(review())
    waits(ledger, FIRST)
    ledger.cancel_run(FIRST, {"message": "by ann"})
    gone = ledger.get_review("abc123")
    assert (gone.status, gone.note, gone.newer) == ("withdrawn", f"run {FIRST} was cancelled", None)
    with pytest.raises(UsageError, match=f"run {FIRST} was cancelled"):
        ledger.decide_review("abc123", "approved", ANN, "")


@pytest.mark.parametrize("other", ["waits", "is under way"])
def test_a_review_that_another_run_waits_for_outlives_its_own(ledger, other):
    ledger.open_review(review())
    waits(ledger, FIRST)
    ledger.start_run(run(SECOND))
    if other == "waits":
        waits(ledger, SECOND)
    ledger.cancel_run(FIRST, {"message": "by ann"})
    assert ledger.get_review("abc123").status == "open"
    ledger.cancel_run(SECOND, {"message": "by ann"})
    assert ledger.get_review("abc123").status == "withdrawn"
