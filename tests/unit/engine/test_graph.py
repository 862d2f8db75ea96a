"""A pipeline function makes a graph: who is given what, and what may not be done with outputs."""

import operator
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import pytest

from raypipe import review, step
from raypipe.engine.graph import Literal_, Ref, build, containers, leaves, lookup, to_argument
from raypipe.engine.step import building
from raypipe.errors import PipelineError


@step
def load(n=0):
    return n


@step
def join(parts, by=None):
    return parts


@step(batch="items")
def each(items, by=1):
    return items


def graph(pipeline, **parameters):
    return build(pipeline, "flow", parameters)


def upstream(made):
    return {name: set(node.upstream) for name, node in made.nodes.items()}


# --- nodes --------------------------------------------------------------------------------------


def test_a_step_depends_on_what_it_is_given():
    def pipeline():
        one, two = load(1), load(2)
        three = join([one, two])
        join(three, by=one)
        load()

    made = graph(pipeline)
    assert made.pipeline == "flow"
    assert upstream(made) == {
        "load": set(),
        "load#2": set(),
        "join": {"load", "load#2"},
        "join#2": {"join", "load"},
        "load#3": set(),
    }
    assert list(made.nodes) == ["load", "load#2", "join", "join#2", "load#3"]


def test_a_node_has_its_step_and_every_argument():
    made = graph(lambda: join(load(1)))
    node = made.nodes["join"]
    assert (node.kind, node.step, node.group) == ("step", join, None)
    assert node.arguments == {"parts": Ref("load"), "by": Literal_(None)}


def test_what_a_step_is_given_was_made_before_it():
    def pipeline():
        made = load(0)
        for _ in range(5):
            made = join({"a": [made, load(1)]})
        return made

    seen = set()
    for node in graph(pipeline).nodes.values():
        assert node.upstream <= seen
        seen.add(node.name)


SHAPES = {
    "in a list": lambda ref: [1, ref],
    "in a tuple": lambda ref: (1, ref),
    "in a dict": lambda ref: {"a": ref},
    "deep": lambda ref: {"a": [{"b": (ref,)}]},
    "beside what is empty": lambda ref: [[], {}, [[ref]]],
    "as a part": lambda ref: ref.a["b"][0],
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_an_output_is_found_however_deep_it_stands(shape):
    assert upstream(graph(lambda: join(shape(load()))))["join"] == {"load"}


def test_a_container_without_outputs_is_one_literal():
    value = {"a": [1, (2, 3)], "b": {}}
    argument = to_argument(value)
    assert isinstance(argument, Literal_)
    assert argument.value == value


def test_a_container_with_outputs_tells_them_from_literals():
    assert to_argument({"a": (Ref("x"), [1, 2]), "b": {"c": 3}}) == {
        "a": (Ref("x"), Literal_([1, 2])),
        "b": Literal_({"c": 3}),
    }


def test_leaves_are_named_by_the_place_where_they_stand():
    argument = [Literal_(1), {"c": Ref("y"), "d e": (Ref("z", ("e",)),), 3: Ref("x")}]
    assert list(leaves("b", argument)) == [
        ("b[0]", Literal_(1)),
        ("b[1].c", Ref("y")),
        ("b[1]['d e'][0]", Ref("z", ("e",))),
        ("b[1][3]", Ref("x")),
    ]
    assert list(containers("b", argument)) == [
        ("b[1]", "dict of 'c', 'd e', 3"),
        ("b[1]['d e']", "tuple"),
    ]


ALIKE = [
    ({"a.b": Ref("x")}, {"a": {"b": Ref("x")}}),
    ([Ref("x")], (Ref("x"),)),
    ([Ref("x")], {0: Ref("x")}),
    ({1: Ref("x")}, {"1": Ref("x")}),
    ({"a": Ref("x"), "b": Ref("y")}, {"b": Ref("y"), "a": Ref("x")}),
    ({1: Ref("x"), "1": 7}, {1: Ref("x")}),
]


@pytest.mark.parametrize(("one", "other"), ALIKE, ids=[str(pair) for pair in ALIKE])
def test_containers_that_differ_have_different_places(one, other):
    def form(value):
        argument = to_argument(value)
        return [*leaves("x", argument), *containers("x", argument)]

    assert form(one) != form(other)


def test_a_literal_is_what_it_was_when_the_step_was_called():
    def pipeline():
        values = [1]
        load(values)
        values.append(2)
        load(values)

    nodes = graph(pipeline).nodes
    assert nodes["load"].arguments["n"] == Literal_([1])
    assert nodes["load#2"].arguments["n"] == Literal_([1, 2])


@dataclass
class Holder:
    part: Any


HIDDEN = {
    "in a dataclass": lambda ref: Holder(ref),
    "deep in a dataclass": lambda ref: [1, {"a": Holder([ref])}],
    "in a set": lambda ref: {ref},
    "as a key": lambda ref: {ref: 1},
    "in a key": lambda ref: {("a", ref): ref},
    "in a dict of a kind": lambda ref: OrderedDict(a=ref),
}


@pytest.mark.parametrize("hide", HIDDEN.values(), ids=HIDDEN)
def test_an_output_where_it_is_not_seen_is_refused(hide):
    with pytest.raises(PipelineError, match="holds load, the output of a step, where it is not"):
        graph(lambda: load(hide(load())))


def test_calls_of_one_step_are_numbered_from_the_second():
    assert list(graph(lambda: [load(n) for n in range(3)]).nodes) == ["load", "load#2", "load#3"]


def test_two_steps_of_one_name_have_names_of_their_own():
    def make():
        @step
        def load():
            return 1

        return load

    another = make()
    made = graph(lambda: [load(), another()])
    assert made.nodes["load#2"].step is another


def test_a_step_that_is_called_wrongly_is_refused():
    with pytest.raises(PipelineError, match=r"step 'load' was called wrongly: .*'m'"):
        graph(lambda: load(m=1))
    with pytest.raises(PipelineError, match=r"'join' was called wrongly: missing .*'parts'"):
        graph(lambda: join())


# --- batches ------------------------------------------------------------------------------------


def test_a_batched_step_gives_one_output_an_item():
    made = graph(lambda: {str(n): ref for n, ref in enumerate(each([5, 6], by=2))})
    assert made.outputs == {"0": Ref("each[0]"), "1": Ref("each[1]")}
    assert [(node.name, node.group) for node in made.nodes.values()] == [
        ("each[0]", "each"),
        ("each[1]", "each"),
    ]
    assert made.nodes["each[1]"].arguments == {"items": Literal_(6), "by": Literal_(2)}


def test_each_item_depends_on_its_own_output_and_on_what_all_share():
    made = graph(lambda: each([load(1), load(2)], by=load(3)))
    assert upstream(made)["each[0]"] == {"load", "load#3"}
    assert upstream(made)["each[1]"] == {"load#2", "load#3"}


def test_batches_are_mapped_one_after_another():
    made = graph(lambda: join(each(each((1, 2)))))
    assert upstream(made)["each#2[1]"] == {"each[1]"}
    assert upstream(made)["join"] == {"each#2[0]", "each#2[1]"}
    assert made.nodes["each#2[0]"].group == "each#2"


def test_an_empty_batch_adds_no_node_and_takes_its_name():
    made = graph(lambda: [join(each([])), *each([1])])
    assert list(made.nodes) == ["join", "each#2[0]"]
    assert made.nodes["join"].arguments["parts"] == Literal_([])


@pytest.mark.parametrize(
    ("given", "kind"), [(5, "int"), ("text", "str"), ({"a": 1}, "dict"), (range(3), "range")]
)
def test_a_batch_is_over_a_list_that_is_known(given, kind):
    with pytest.raises(PipelineError, match=f"'each' is batched over 'items', .*not {kind}"):
        graph(lambda: each(given))


def test_a_batch_over_an_output_that_is_not_there_yet_is_refused():
    with pytest.raises(PipelineError, match="known when the pipeline is made, not Ref"):
        graph(lambda: each(load()))


# --- outputs ------------------------------------------------------------------------------------


def test_parts_of_an_output_are_references_too():
    ref = Ref("load")
    assert ref.model["weights"][0].bias == Ref("load", ("model", "weights", 0, "bias"))
    assert str(ref.model["weights"][0].bias) == "load.model.weights[0].bias"
    assert str(ref) == "load"


@pytest.mark.parametrize("name", ["node", "path", "value", "index", "count"])
def test_no_part_is_hidden_by_what_a_reference_is_itself(name):
    assert getattr(Ref("load"), name) == Ref("load", (name,))


USES = {
    "bool": bool,
    "not": operator.not_,
    "if": lambda ref: 1 if ref.good else 2,
    "list": list,
    "unpacking": lambda ref: [*ref],
    "len": len,
    "int": int,
    "float": float,
    "in": lambda ref: 1 in ref,
    "+": lambda ref: ref + 1,
    "-": lambda ref: ref - 1,
    "*": lambda ref: ref * 2,
    "<": lambda ref: ref < 1,
    ">": lambda ref: ref > 1,
    "call": lambda ref: ref(),
    "method": lambda ref: ref.rows.sum(),
    "==": lambda ref: ref == 1,
    "!=": lambda ref: ref != 1,
    "<=": lambda ref: ref <= 1,
    "/": lambda ref: ref / 2,
    "%": lambda ref: ref % 2,
    "in front": lambda ref: 2**ref,
    "minus": operator.neg,
    "f-string": lambda ref: f"{ref}",
    "format": lambda ref: "{}".format(ref),  # noqa: UP032
    "round": round,
    "range": range,
}


@pytest.mark.parametrize("key", [slice(1, 2), (1, 2), 1.5, None])
def test_a_part_is_named_by_a_name_or_a_number(key):
    with pytest.raises(PipelineError, match="load has parts by name and by number"):
        graph(lambda: load(load()[key]))


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_an_output_is_no_value_inside_a_pipeline_function(use):
    with pytest.raises(PipelineError, match="is a reference, not a value"):
        graph(lambda: load(use(load())))


def test_the_refusal_names_the_output():
    with pytest.raises(PipelineError, match=r"^load\.score is a reference"):
        graph(lambda: bool(load().score))


def test_outputs_do_not_change_and_have_no_hidden_parts():
    ref = Ref("load")
    with pytest.raises(AttributeError):
        ref._hidden  # noqa: B018
    with pytest.raises(AttributeError):
        ref.name = 1


@pytest.mark.parametrize(
    ("returned", "outputs"),
    [
        (lambda a, b: None, {}),
        (lambda a, b: a, {"result": Ref("load")}),
        (lambda a, b: {"one": a, "two": b.x}, {"one": Ref("load"), "two": Ref("load#2", ("x",))}),
        (lambda a, b: [a, b], {"0": Ref("load"), "1": Ref("load#2")}),
        (lambda a, b: (b,), {"0": Ref("load#2")}),
        (lambda a, b: [], {}),
        (lambda a, b: {1: a}, {"1": Ref("load")}),
    ],
)
def test_what_a_pipeline_returns_are_its_outputs(returned, outputs):
    assert graph(lambda: returned(load(1), load(2))).outputs == outputs


@pytest.mark.parametrize(
    ("returned", "key", "kind"),
    [
        (lambda a: 5, "result", "int"),
        (lambda a: {"one": a, "two": 5}, "two", "int"),
        (lambda a: [a, "x"], "1", "str"),
        (lambda a: {"one": [a]}, "one", "list"),
    ],
)
def test_a_pipeline_returns_nothing_but_outputs(returned, key, kind):
    with pytest.raises(PipelineError, match=f"'flow' returns '{key}' as {kind}; return what"):
        graph(lambda: returned(load()))


# --- reviews and lookups ------------------------------------------------------------------------


def test_a_review_is_a_node_of_its_own():
    def pipeline():
        report = load()
        join(report, by=review({"report": report, "n": 1}))
        review(report, name="look")
        review("text")

    made = graph(pipeline)
    assert upstream(made)["review"] == {"load"}
    assert upstream(made)["join"] == {"load", "review"}
    assert [node.name for node in made.nodes.values() if node.kind == "review"] == [
        "review",
        "look",
        "review#2",
    ]
    assert made.nodes["review#2"].arguments == {"evidence": Literal_("text")}


def test_a_lookup_is_a_node_that_knows_what_it_asks():
    def pipeline():
        join(lookup("champion", candidate=load(), split="test"))
        lookup("champion")

    made = graph(pipeline)
    node = made.nodes["champion"]
    assert (node.kind, node.asks, node.step) == ("lookup", "champion", None)
    assert node.arguments == {"candidate": Ref("load"), "split": Literal_("test")}
    assert made.nodes["champion#2"].asks == "champion"
    assert upstream(made)["join"] == {"champion"}


@pytest.mark.parametrize(("call", "what"), [(review, "review"), (lookup, "lookup")])
def test_reviews_and_lookups_belong_inside_a_pipeline_function(call, what):
    with pytest.raises(PipelineError, match=rf"{what}\(…\) belongs inside a pipeline function"):
        call("a")


# --- building -----------------------------------------------------------------------------------


def test_a_pipeline_function_is_given_its_parameters():
    made = graph(lambda n, m=2: [load(n), load(m)], n=1)
    assert [node.arguments["n"].value for node in made.nodes.values()] == [1, 2]


def test_after_building_steps_are_functions_again():
    graph(lambda: load())
    assert load(5) == 5
    assert building.get() is None


def test_after_a_pipeline_function_that_raised_steps_are_functions_again():
    def pipeline():
        load()
        raise KeyError("mine")

    with pytest.raises(PipelineError, match="raised KeyError: 'mine'"):
        graph(pipeline)
    assert load(5) == 5
    assert building.get() is None


def test_graphs_that_are_built_inside_one_another_do_not_mix():
    made = []

    def inner():
        load(1)

    def outer():
        load(2)
        made.append(graph(inner))
        load(3)

    assert [node.arguments["n"].value for node in graph(outer).nodes.values()] == [2, 3]
    assert [node.arguments["n"].value for node in made[0].nodes.values()] == [1]
