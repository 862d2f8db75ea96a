"""A pipeline takes its parameters by name, fills in defaults, and says what does not fit."""

import pytest

from raypipe import pipeline, step
from raypipe.engine.pipeline import Pipeline
from raypipe.errors import PipelineError


@step
def load(n):
    return n


@step
def total(numbers, by):
    return by * sum(numbers)


@pipeline
def report(source, rows=10, by=1):
    """Sum some rows."""
    return total([load(source), load(rows)], by)


def test_a_pipeline_is_named_and_documented_like_its_function():
    assert report.name == "report"
    assert report.__doc__ == "Sum some rows."
    assert report.__wrapped__ is report.function


def test_parameters_are_filled_up_with_defaults():
    assert report.bind({"source": "a"}) == {"source": "a", "rows": 10, "by": 1}
    assert report.bind({"source": "a", "rows": None}) == {"source": "a", "rows": None, "by": 1}


def test_parameters_that_were_given_are_left_as_they_are():
    given = {"source": "a"}
    report.bind(given)
    assert given == {"source": "a"}


def test_a_parameter_that_is_nearly_known_is_suggested():
    with pytest.raises(PipelineError, match="'report' has no parameter 'row'") as failed:
        report.bind({"source": "a", "row": 1})
    assert failed.value.hint == "did you mean 'rows'?"


def test_an_unknown_parameter_is_answered_with_those_that_there_are():
    with pytest.raises(PipelineError, match="no parameter 'zzz'") as failed:
        report.bind({"source": "a", "zzz": 1})
    assert failed.value.hint == "it takes source, rows, by"


def test_a_pipeline_without_parameters_takes_none():
    empty = pipeline(lambda: None)
    assert empty.bind({}) == {}
    with pytest.raises(PipelineError) as failed:
        empty.bind({"n": 1})
    assert failed.value.hint == "it takes none"


def test_all_parameters_that_are_missing_are_named():
    @pipeline
    def flow(a, b, c=1):
        return load(a)

    with pytest.raises(PipelineError, match="'flow' needs 'a', 'b'") as failed:
        flow.bind({"c": 2})
    assert failed.value.hint == "give it with --set a=VALUE"


def test_a_graph_is_built_from_parameters_and_named_like_the_pipeline():
    graph = report.build({"source": "a"})
    assert graph.pipeline == "report"
    assert list(graph.nodes) == ["load", "load#2", "total"]
    assert graph.nodes["load#2"].arguments["n"].value == 10


def test_a_graph_of_parameters_that_do_not_fit_is_refused():
    with pytest.raises(PipelineError, match="needs 'source'"):
        report.build({})


def test_the_same_parameters_give_the_same_graph():
    assert report.build({"source": "a"}) == report.build({"source": "a"})


def test_outside_a_graph_a_pipeline_is_its_function():
    assert report(3, rows=4, by=2) == 14


def test_a_pipeline_inside_another_becomes_part_of_it():
    @pipeline
    def outer():
        return total([report("a"), report("b")], by=2)

    graph = outer.build({})
    assert len(graph.nodes) == 7
    assert graph.nodes["total#3"].upstream == {"total", "total#2"}


def test_run_gives_the_runner_what_it_was_given():
    asked = []
    made = Pipeline(lambda n=1: load(n), lambda *what: asked.append(what) or "outcome")
    assert made.run() == "outcome"
    assert made.run({"force": ["load"]}, n=2) == "outcome"
    assert asked == [(made, {}, {}), (made, {"n": 2}, {"force": ["load"]})]


def test_a_parameter_may_have_the_name_that_options_have_inside():
    asked = []
    made = Pipeline(lambda _options: load(_options), lambda *what: asked.append(what))
    made.run(_options=5)
    assert asked == [(made, {"_options": 5}, {})]


@pytest.mark.parametrize("error", [ValueError("no such"), SystemExit(0), RecursionError("deep")])
def test_what_a_pipeline_function_raises_is_told_with_its_line(error):
    @pipeline
    def breaks() -> None:
        raise error

    said = f"pipeline 'breaks' raised {type(error).__name__}: {error}, in line "
    with pytest.raises(PipelineError, match=said) as told:
        breaks.build({})
    assert told.value.__cause__ is error
