"""What a plan says of each step, and why; keys, and what they are made of."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from raypipe import review, step
from raypipe.engine.graph import lookup
from raypipe.engine.plan import key_of
from raypipe.engine.records import Actor, Explanation, Fingerprint, Reason
from raypipe.errors import CodeReferenceError, NotFound, PipelineError, StoreError

BOB = Actor(user="bob", host="tower")


@pytest.fixture
def flow():
    """`load` → `double` → `total`."""

    @step(depends_on=("env:REGION",))
    def load(n):
        return [n, n + 1]

    @step
    def double(numbers):
        return [2 * n for n in numbers]

    @step
    def total(numbers, by=1):
        return by * sum(numbers)

    return lambda n=1, by=1: total(double(load(n)), by)


def said(plan):
    """Step to action and reason."""
    return {name: (item.action, str(item.reason)) for name, item in plan.items()}


def keys(world, pipeline, **given):
    return [item.key for item in world.plan(pipeline, **given).values()]


def reason(world, pipeline, name="f", **given):
    return world.plan(pipeline, **given)[name].reason


# --- states -------------------------------------------------------------------------------------


def test_at_first_what_needs_nothing_is_new_and_the_rest_is_open(world, flow):
    assert said(world.plan(flow)) == {
        "load": ("execute", "new"),
        "double": ("open", "upstream: load: new, runs in any case"),
        "total": ("open", "upstream: double: new, runs in any case"),
    }


def test_what_is_kept_is_a_hit_with_its_digest_and_seconds(world, flow):
    driven = world.run(flow)
    plan = world.plan(flow)
    assert set(said(plan).values()) == {("hit", "same")}
    assert [item.digest for item in plan.values()] == [item.digest for item in driven.planned]
    assert [item.key for item in plan.values()] == [item.key for item in driven.planned]
    assert [item.seconds for item in plan.values()] == [1.0, 1.0, 1.0]


def test_planning_runs_and_records_nothing(world, flow):
    def pipeline():
        flow()
        review("evidence")

    kept = dict(world.artifacts.kept)
    first = said(world.plan(pipeline))
    assert said(world.plan(pipeline)) == first
    assert world.ran == []
    assert world.artifacts.kept == kept
    assert world.ledger.list_reviews() == []
    assert world.held == set()


def test_what_an_edit_may_reach_is_open_and_says_what_is_known(world, flow):
    world.run(flow)
    world.code["load"] = "another text"
    plan = said(world.plan(flow, by=2))
    assert plan["load"][0] == "execute"
    assert plan["double"] == ("open", "upstream: load: kept if that gives what it gave")
    assert plan["total"] == ("open", "upstream: double: by changed, runs in any case")


def test_an_open_step_whose_own_code_changed_runs_in_any_case(world, flow):
    world.run(flow)
    world.code |= {"load": "another", "double": "another"}
    plan = said(world.plan(flow))
    code = f"{__name__}:flow.<locals>.double"
    assert plan["double"] == (
        "open",
        f"upstream: load: its code changed ({code}), runs in any case",
    )


def test_an_open_step_that_was_given_a_literal_may_be_kept(world):
    @step
    def load():
        return 1

    @step
    def f(n):
        return n

    world.run(lambda: f(1))
    plan = said(world.plan(lambda: f(load())))
    assert plan["f"] == ("open", "upstream: load: kept if that gives what it gave")
    world.run(lambda: f(load()))
    assert world.ran == ["load"]


def test_an_open_step_names_the_first_output_that_is_not_known_by_the_alphabet(world):
    @step
    def zulu():
        return 1

    @step
    def alpha():
        return 2

    @step
    def both(one, two):
        return one + two

    assert world.plan(lambda: both(zulu(), alpha()))["both"].reason.what == "alpha"


def test_the_second_of_two_calls_that_make_the_same_is_open(world):
    @step
    def load(n):
        return n

    def pipeline():
        load(1)
        load(1)
        load(2)

    assert said(world.plan(pipeline)) == {
        "load": ("execute", "new"),
        "load#2": ("open", "upstream: load: makes the same"),
        "load#3": ("execute", "new"),
    }
    forced = world.plan(pipeline, force=["load", "load#2"])
    assert said(forced)["load#2"] == ("execute", "forced: load#2")


def test_each_item_of_a_batch_has_a_state_of_its_own(world):
    @step(batch="numbers")
    def square(numbers):
        return [n * n for n in numbers]

    world.run(lambda: square([1, 2]))
    plan = world.plan(lambda: square([2, 3]))
    assert said(plan) == {
        "square[0]": ("hit", "same"),
        "square[1]": ("execute", "parameter: numbers: 2 → 3"),
    }


# --- reasons ------------------------------------------------------------------------------------


@pytest.fixture
def one():
    """A step `f` with all that its key is made of."""

    @step(depends_on=("env:REGION",))
    def g(n):
        return n

    @step(depends_on=("env:REGION", "file:a.csv"))
    def f(given, by=1, how="fast"):
        return given

    return lambda n=1, by=1, how="fast": f(g(n), by, how)


def test_a_parameter_that_changed_is_named_with_both_values(world, one):
    world.run(one)
    expected = Reason(kind="parameter", what="how", detail="'fast' → 'slow'")
    assert reason(world, one, how="slow") == expected


def test_an_input_that_comes_out_otherwise_is_named(world, one):
    world.run(one, n=1)
    driven = world.run(one, n=2)
    assert driven.planned[1].reason == Reason(kind="input", what="given", detail="changed, from g")


@pytest.mark.parametrize("entry", ["env:REGION", "file:a.csv"])
def test_what_a_step_depends_on_is_named_once_it_changed(world, entry):
    @step(depends_on=("env:REGION", "file:a.csv"))
    def f():
        return 1

    world.run(f)
    world.environment[entry] = "another"
    assert reason(world, f) == Reason(kind="environment", what=entry, detail="changed")
    world.environment["env:OTHER"] = "another"
    del world.environment[entry]
    assert reason(world, f) == Reason(kind="same")


def test_code_that_changed_is_named(world):
    @step
    def f():
        return 1

    world.run(f)
    world.code["f"] = "another"
    assert reason(world, f) == Reason(kind="code", what=f.target, detail="changed")


def test_a_package_that_changed_is_named(world):
    @step
    def f():
        return 1

    world.packages["numpy"] = "2.0"
    world.run(f)
    world.packages["numpy"] = "2.1"
    assert reason(world, f) == Reason(kind="package", what="numpy", detail="2.0 → 2.1")


def test_code_is_named_before_parameters_and_these_before_the_environment(world):
    @step(depends_on=("env:REGION",))
    def f(n):
        return n

    world.run(f, n=1)
    world.environment["env:REGION"] = "north"
    assert reason(world, f, n=1).kind == "environment"
    assert reason(world, f, n=2).kind == "parameter"
    world.code["f"] = "another"
    assert reason(world, f, n=2).kind == "code"


def test_a_parameter_of_a_new_pipeline_is_compared_with_nothing(world):
    @step
    def f(n):
        return n

    world.run(f, n=1)
    planner = world.planner(f, n=2)
    planner.graph = replace(planner.graph, pipeline="another")
    (item,) = planner.plan()
    assert str(item.reason) == "new"


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("lost artifact", "lost artifact: gone or torn"),
        ("lost artifact: torn, as Ann found", "lost artifact: torn, as Ann found"),
        ("unused", "new: same key, no result"),
    ],
)
@pytest.mark.parametrize("expires", [None, 60])
def test_a_result_that_was_taken_out_of_use_is_made_anew(world, why, told, expires):
    @step(expires=expires)
    def f(n=1):
        return n

    driven = world.run(f)
    world.ledger.supersede(driven.planned[0].key, why)
    if expires is None or why != "unused":
        assert str(reason(world, f)) == told
    assert reason(world, f, n=2).kind == "parameter"
    world.run(f)
    assert reason(world, f).kind == "same"


def test_what_waits_says_that_its_result_was_lost(world, flow):
    driven = world.run(flow)
    world.ledger.supersede(driven.planned[1].key, "lost artifact")
    plan = said(world.plan(flow, force=["load"]))
    assert plan["double"] == ("open", "upstream: load: lost artifact, runs in any case")


def test_a_forced_step_says_so_even_where_it_is_kept(world, flow):
    world.run(flow)
    plan = world.plan(flow, force=["double"])
    assert said(plan)["load"] == ("hit", "same")
    assert said(plan)["double"] == ("execute", "forced: double")
    assert said(plan)["total"] == ("open", "upstream: double: kept if that gives what it gave")


def test_a_step_without_cache_says_so(world):
    @step(cache=False)
    def f():
        return 1

    for _ in range(2):
        assert said(world.plan(f))["f"] == ("execute", "uncached: declared with cache=False")
        world.run(f)


def test_a_result_that_expired_says_after_how_long(world):
    @step(expires=60)
    def f():
        return 1

    world.run(f)
    world.time += 59
    assert reason(world, f) == Reason(kind="same", detail="expires in 1 s")
    world.time += 1
    assert reason(world, f) == Reason(kind="expired", detail="after 60 s")


def test_a_torn_artifact_says_so_and_what_follows_is_open(world, flow):
    driven = world.run(flow)
    del world.artifacts.kept[driven.planned[1].digest]
    plan = said(world.plan(flow))
    assert plan["load"] == ("hit", "same")
    assert plan["double"] == ("execute", "lost artifact: gone or torn")
    assert plan["total"][0] == "open"


# --- reviews and lookups ------------------------------------------------------------------------


def test_a_review_waits_until_its_evidence_was_decided_on(world):
    @step
    def after(decision):
        return decision.note

    def pipeline(evidence="a"):
        after(review(evidence, name="look"))

    assert said(world.plan(pipeline)) == {
        "look": ("wait", "review: not decided"),
        "after": ("open", "upstream: look: new, runs in any case"),
    }
    (asked,) = world.run(pipeline).reviews
    assert said(world.plan(pipeline))["look"] == ("wait", f"review: {asked.id}: not decided")
    world.ledger.decide_review(asked.id, "approved", BOB, "fine")
    assert said(world.plan(pipeline)) == {
        "look": ("hit", "approved: by bob: fine"),
        "after": ("execute", "new"),
    }
    assert world.plan(pipeline, evidence="b")["look"].action == "wait"


def test_a_rejected_review_waits_and_says_who_and_why(world):
    def pipeline():
        review("evidence")

    (asked,) = world.run(pipeline).reviews
    world.ledger.decide_review(asked.id, "rejected", replace(BOB, name="Bob B."), "no")
    assert said(world.plan(pipeline))["review"] == ("wait", "rejected: by Bob B.: no")


def test_a_review_of_an_output_that_is_not_known_is_open(world):
    @step
    def report():
        return 1

    plan = world.plan(lambda: review(report()))
    assert said(plan)["review"] == ("open", "upstream: report")


def test_evidence_of_several_outputs_counts_each_with_its_place(world):
    @step
    def report(n):
        return n

    def pipeline(first, second, name="b"):
        review({"a": [report(first)], name: report(second)})

    (asked,) = world.run(pipeline, first=1, second=2).reviews
    world.ledger.decide_review(asked.id, "approved", BOB, "")
    assert world.plan(pipeline, first=1, second=2)["review"].action == "hit"
    assert world.run(pipeline, first=2, second=1).status == "waiting"
    assert world.run(pipeline, first=1, second=2, name="c").status == "waiting"


def test_lookups_are_no_steps_of_a_plan(world):
    @step
    def compare(champion):
        return champion

    world.lookups["champion"] = lambda digests: None
    assert said(world.plan(lambda: compare(lookup("champion")))) == {"compare": ("execute", "new")}


def test_a_lookup_whose_arguments_are_not_known_is_not_asked(world):
    @step
    def train():
        return 1

    @step
    def compare(champion):
        return champion

    plan = world.plan(lambda: compare(lookup("champion", candidate=train())))
    assert said(plan)["compare"] == ("open", "upstream: train: new, runs in any case")


# --- keys ---------------------------------------------------------------------------------------


def test_a_key_counts_code_arguments_and_environment(world, one):
    before = keys(world, one)[0]
    assert keys(world, one)[0] == before
    changed = [keys(world, one, n=2)[0]]
    for what, name in ((world.environment, "env:REGION"), (world.code, "g"), (world.packages, "p")):
        what[name] = "another"
        changed.append(keys(world, one)[0])
        del what[name]
    assert len({before, *changed}) == 5
    assert keys(world, one)[0] == before


def test_a_literal_and_an_output_of_the_same_value_make_the_same_key(world):
    @step
    def load():
        return [1, 2]

    @step
    def f(numbers):
        return sum(numbers)

    world.run(lambda: f(load()))
    assert said(world.plan(lambda: f([1, 2])))["f"] == ("hit", "same")


def test_values_that_are_equal_and_of_other_types_make_other_keys(world):
    @step
    def f(n):
        return n

    made = [keys(world, f, n=n)[0] for n in (1, 1.0, True, "1", None, [], ())]
    assert len(set(made)) == len(made)


def test_the_order_of_parameters_does_not_count_and_that_of_a_dict_does(world):
    @step
    def f(a, b):
        return 1

    one = keys(world, lambda: f(a={"x": 1, "y": 2}, b=3))
    assert keys(world, lambda: f(b=3, a={"x": 1, "y": 2})) == one
    assert keys(world, lambda: f(a={"y": 2, "x": 1}, b=3)) != one


def test_a_default_counts_like_the_same_value_given(world):
    @step
    def f(n=1):
        return n

    assert keys(world, lambda: f()) == keys(world, lambda: f(1)) == keys(world, lambda: f(n=1))


def test_each_place_of_an_output_counts(world):
    @step
    def load(n):
        return n

    @step
    def f(parts):
        return 1

    def pipeline(shape):
        f(shape(load(1), load(2)))

    shapes = [
        lambda one, two: [one, two],
        lambda one, two: [two, one],
        lambda one, two: {"a": one, "b": two},
        lambda one, two: [[one, two]],
        lambda one, two: [one, two, None],
    ]
    world.run(pipeline, shape=shapes[0])
    made = [world.plan(pipeline, shape=shape)["f"].key for shape in shapes]
    assert None not in made
    assert len(set(made)) == len(made)


def test_a_part_of_an_output_counts_by_itself(world):
    @step
    def load(n):
        return {"rows": [1, 2], "n": n}

    @step
    def f(row):
        return row

    world.run(lambda n: f(load(n).rows[1]), n=1)
    driven = world.run(lambda n: f(load(n).rows[1]), n=2)
    assert world.ran == ["load"]
    assert driven.planned[1].action == "hit"


def test_a_part_that_an_output_lacks_is_an_error_of_its_own(world):
    @step
    def load():
        return {"rows": 1}

    @step
    def f(row):
        return row

    world.run(load)
    with pytest.raises(PipelineError) as failed:
        world.plan(lambda: f(load().colums))
    assert str(failed.value) == (
        "step 'f', parameter 'row' is given load.colums: a dict has no part 'colums'"
    )


def test_what_cannot_be_kept_is_refused_as_an_argument(world):
    @step
    def f(given):
        return 1

    with pytest.raises(PipelineError, match="step 'f', parameter 'given' is given what cannot"):
        world.plan(f, given=object())


def test_a_path_where_there_is_nothing_is_named_with_its_parameter(world):
    @step
    def f(given):
        return 1

    with pytest.raises(NotFound, match=r"step 'f', parameter 'given': .*nowhere.csv"):
        world.plan(f, given=world.folder / "nowhere.csv")


def test_uncounted_parameters_are_not_in_the_explanation(world):
    @step(uncounted=("hint",))
    def f(n, hint):
        return n

    item = world.plan(f, n=1, hint="a")["f"]
    assert set(item.explanation.parameters) == set(item.explanation.shown) == {"n"}
    assert world.plan(f, n=1, hint="b")["f"].key == item.key


def test_a_literal_is_shown_in_a_few_words(world):
    @step
    def f(text, numbers, table, nothing):
        return 1

    item = world.plan(f, text="x" * 100, numbers=(1, 2), table=list(range(9)), nothing=None)["f"]
    assert item.explanation.shown == {
        "text": "'" + "x" * 56 + "…",
        "numbers": "(1, 2)",
        "table": "list",
        "nothing": "None",
    }


@dataclass(frozen=True)
class Named:
    """Names code, as a setting may."""

    code_reference: str


@dataclass(frozen=True)
class Settings:
    first: Any
    more: Sequence[Any]


def test_code_that_settings_name_is_asked_for_with_the_step(world):
    @step
    def f(settings, more):
        return 1

    asked = []
    ports = world.ports()

    def fingerprint(target, also):
        asked.append((target, also))
        return ports.fingerprint(target, also)

    settings = Settings(first=Named("m:b"), more=[{"x": (Named("m:a"), Named("m:b"))}, 1])
    planner = world.planner(lambda: f(settings, Named("m:c")))
    planner.ports = replace(ports, fingerprint=fingerprint)
    planner.plan()
    assert asked == [(f.target, ("m:a", "m:b", "m:c", f"{__name__}:Named", f"{__name__}:Settings"))]


@dataclass(frozen=True)
class Point:
    x: int

    def shifted(self):
        return self.x + 1


@pytest.mark.parametrize(
    "give",
    [lambda load: load(), lambda load: Point(1), lambda load: [load()]],
    ids=["output", "literal", "in a list"],
)
def test_the_classes_of_what_a_step_is_given_are_asked_for_with_it(world, give):
    @step
    def load():
        return Point(1)

    @step
    def f(point):
        return 1

    asked = {}
    ports = world.ports()

    def fingerprint(target, also):
        asked[target.rpartition(".")[2]] = also
        return ports.fingerprint(target, also)

    world.run(load)
    planner = world.planner(lambda: f(give(load)))
    planner.ports = replace(ports, fingerprint=fingerprint)
    planner.plan()
    assert asked["f"] == (f"{__name__}:Point",)


def test_an_uncounted_value_brings_no_class_with_it(world):
    @step(uncounted=("point",))
    def f(n, point):
        return n

    key = world.plan(f, n=1, point=Point(1))["f"].key
    assert world.plan(f, n=1, point=None)["f"].key == key


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (lambda world: world.environment.update({"env:A": "2"}), "its environment changed"),
        (lambda world: setattr(world, "time", world.time + 100), "expired"),
    ],
)
def test_an_open_step_that_runs_in_any_case_says_why(world, edit, why):
    @step
    def load(n):
        return n

    @step(depends_on=("env:A",), expires=50)
    def f(n):
        return n

    def pipeline(n):
        f(load(n))

    world.run(pipeline, n=1)
    edit(world)
    assert str(world.plan(pipeline, n=2)["f"].reason) == f"upstream: load: {why}, runs in any case"


def test_an_open_step_that_is_forced_or_never_kept_runs_in_any_case(world):
    @step
    def load(n):
        return n

    @step(cache=False)
    def never(n):
        return n

    @step
    def f(n):
        return n

    def pipeline(n):
        f(load(n))
        never(load(n))

    world.run(pipeline, n=1)
    plan = world.plan(pipeline, force=["f"], n=2)
    assert plan["f"].reason.detail == "forced, runs in any case"
    assert plan["never"].reason.detail == "declared with cache=False, runs in any case"


@pytest.fixture
def hinted():
    """`f`, which counts `n` and a part of what `load` gives, and is handed what `look` gives."""

    @step
    def load(n):
        return [n, n + 1]

    @step
    def look(hint):
        return hint

    @step(uncounted=("hint",))
    def f(n, given, hint):
        return n

    @step
    def after(f):
        return f

    return lambda n=1, given=1, hint="a": after(f(n, load(given)[0], look(hint)))


def test_a_step_is_a_hit_whatever_comes_of_what_does_not_count(world, hinted):
    driven = world.run(hinted)
    plan = said(world.plan(hinted, hint="b"))
    assert plan == {
        "load": ("hit", "same"),
        "look": ("execute", "parameter: hint: 'a' → 'b'"),
        "f": ("hit", "same"),
        "after": ("hit", "same"),
    }
    again = world.run(hinted, hint="b")
    assert world.ran == ["look"]
    assert [item.digest for item in again.planned[2:]] == [
        item.digest for item in driven.planned[2:]
    ]


def test_a_step_runs_whatever_comes_of_what_does_not_count_and_says_why(world, hinted):
    world.run(hinted)
    plan = said(world.plan(hinted, n=2, hint="b"))
    why = "parameter: n: 1 → 2, runs in any case"
    assert plan["f"] == ("open", f"upstream: look: {why}")
    assert plan["after"] == ("open", "upstream: f: kept if that gives what it gave")
    world.code["f"] = "another text"
    assert ": code: " in said(world.plan(hinted, hint="b"))["f"][1]


def test_an_input_that_is_known_to_differ_runs_a_step_in_any_case(world, hinted):
    world.run(hinted, given=1)
    world.code["f"] = "another text"
    world.run(hinted, given=2)
    plan = said(world.plan(hinted, given=1, hint="b"))
    assert plan["load"] == ("hit", "same")
    assert plan["f"] == (
        "open",
        "upstream: look: input: given: changed, from load, runs in any case",
    )


def test_a_step_waits_for_what_counts_though_the_rest_is_known(world, hinted):
    world.run(hinted)
    world.code["load"] = "another text"
    plan = said(world.plan(hinted, hint="b"))
    assert plan["f"] == ("open", "upstream: load: kept if that gives what it gave")


def test_a_forced_step_is_no_hit_whatever_comes(world, hinted):
    world.run(hinted)
    plan = said(world.plan(hinted, force=["f"], hint="b"))
    assert plan["f"] == ("open", "upstream: look: forced: f, runs in any case")


def test_a_part_of_what_does_not_count_may_be_anywhere_in_it(world):
    @step
    def look(hint):
        return hint

    @step(uncounted=("hints",))
    def f(n, hints):
        return n

    def pipeline(hint="a"):
        f(1, {"one": [look(hint)], "two": (look(hint + "!"), 3)})

    world.run(pipeline)
    assert said(world.plan(pipeline, hint="b"))["f"] == ("hit", "same")


def test_items_of_a_batch_are_hits_whatever_comes_of_what_does_not_count(world):
    @step
    def look(hint):
        return hint

    @step(batch="numbers", kept="known", uncounted=("hint",))
    def square(numbers, hint, known=()):
        return [n * n for n in numbers]

    @step
    def total(squares):
        return sum(squares)

    def pipeline(numbers, hint):
        total(square(numbers, look(hint)))

    world.run(pipeline, numbers=[1, 2], hint="a")
    plan = said(world.plan(pipeline, numbers=[1, 2], hint="b"))
    assert [plan[name][0] for name in ("square[0]", "square[1]", "total")] == ["hit"] * 3
    plan = said(world.plan(pipeline, numbers=[1, 3], hint="b"))
    assert plan["square[0]"] == ("hit", "same")
    why = "parameter: numbers: 2 → 3, runs in any case"
    assert plan["square[1]"] == ("open", f"upstream: look: {why}")
    world.run(pipeline, numbers=[1, 3], hint="b")
    assert world.ran == ["look", "square", "total"]


def test_what_the_run_tells_is_no_part_of_the_explanation(world):
    @step(batch="items", kept="known")
    def draw(items, known=()):
        return items

    item = world.plan(draw, items=[1])["draw[0]"]
    assert set(item.explanation.parameters) == set(item.explanation.shown) == {"items"}


def test_the_part_of_a_parameter_that_differs_is_named(world):
    @step
    def f(settings):
        return 1

    before = {"train": {"epochs": 8, "rate": 0.1}, "name": "a"}
    world.run(f, settings=before)
    plan = world.plan(f, settings={"train": {"epochs": 12, "rate": 0.1}, "name": "a"})
    assert str(plan["f"].reason) == "parameter: settings.train.epochs: 8 → 12"
    plan = world.plan(f, settings={"train": {"epochs": 8}, "name": "b"})
    assert str(plan["f"].reason) == "parameter: settings.name: 'a' → 'b', and 1 more"
    plan = world.plan(f, settings=3)
    assert plan["f"].reason.what.startswith("settings")


def test_a_step_of_the_same_name_in_another_script_is_another(world):
    def first():
        @step
        def load():
            return 1

        return load

    def second():
        @step
        def load():
            return 2

        return load

    world.run(first())
    reason = world.plan(second())["load"].reason
    assert str(reason) == "new: the step of this name was another"


def test_a_torn_manifest_that_looks_whole_is_a_lost_artifact(world, one, monkeypatch):
    world.run(one, n=1)

    def read(digest):
        raise StoreError("torn")

    monkeypatch.setattr(world.artifacts, "read", read)
    assert world.plan(one, n=1)["g"].reason.kind == "lost artifact"


def test_a_step_is_looked_into_once_a_plan(world):
    @step
    def f(n):
        return n

    asked = []
    ports = world.ports()

    def pipeline():
        for n in range(3):
            f(n)

    planner = world.planner(pipeline)
    planner.ports = replace(
        ports, fingerprint=lambda *what: asked.append(what) or ports.fingerprint(*what)
    )
    planner.check_code()
    planner.plan()
    assert asked == [(f.target, ())]


def test_code_that_is_not_there_is_found_before_anything_runs(world):
    @step
    def late(n, settings):
        return n

    @step
    def early():
        return 1

    def missing(target, also):
        if also:
            raise CodeReferenceError(f"there is no {also[0]}")
        return ports.fingerprint(target, also)

    ports = world.ports()
    planner = world.planner(lambda: late(early(), Named("m:gone")))
    planner.ports = replace(ports, fingerprint=missing)
    with pytest.raises(CodeReferenceError, match="m:gone"):
        planner.check_code()


def test_blobs_of_literals_are_found_in_lists_and_dicts(world, tmp_path):
    @step
    def load():
        return 1

    @step
    def f(file, parts):
        return 1

    (tmp_path / "a.csv").write_text("a")
    (tmp_path / "b.csv").write_text("b")
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    planner = world.planner(lambda: f(a, [load(), {"b": b, "c": load()}]))
    found = planner.known.blobs_given(planner.graph.nodes["f"])
    blobs = [blob for encoded in found for blob in encoded.blobs]
    assert [Path(blob) for blob in blobs] == [a, b]


# --- keys --------------------------------------------------------------------------------------

CODE = Fingerprint(digest="c", symbols={"m:f": "1", "m:g": "1"}, packages={"numpy": "2.0"})
BEFORE = Explanation(
    fingerprint="c",
    parameters={"n": "d1", "m": "d1"},
    inputs={"rows[0]": "d1"},
    environment={"env:A": "d1"},
    shown={"n": "1", "m": "1"},
)


def test_a_key_does_not_count_what_is_shown_or_the_order():
    assert key_of(replace(BEFORE, shown={})) == key_of(BEFORE)
    turned = replace(BEFORE, parameters=dict(reversed(BEFORE.parameters.items())))
    assert key_of(turned) == key_of(BEFORE)


@pytest.mark.parametrize(
    "changed",
    [
        {"fingerprint": "d"},
        {"parameters": {"n": "d2", "m": "d1"}},
        {"parameters": {"n": "d1"}},
        {"inputs": {"rows[0]": "d2"}},
        {"environment": {"env:A": "d2"}},
        {"environment": {}},
    ],
)
def test_a_key_counts_everything_else(changed):
    assert key_of(replace(BEFORE, **changed)) != key_of(BEFORE)


def test_a_key_stays_what_it_is_in_every_version():
    assert key_of(BEFORE) == "5b3586d4405e8a1985ec3043488322d6095763423cff0aa7e3cccb44d0d40be0"
