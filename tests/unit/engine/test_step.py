"""A step is a function with options; what does not fit is said where it is declared."""

import inspect
from functools import partial, wraps

import pytest

from raypipe import step
from raypipe.engine import step as steps
from raypipe.engine.graph import GraphBuilder
from raypipe.engine.step import Step, StepOptions, building, module_of
from raypipe.errors import PipelineError, UsageError


def add(a, b=2):
    """Add two numbers."""
    return a + b


@pytest.fixture
def builder():
    """A graph under construction."""
    builder = GraphBuilder()
    token = building.set(builder)
    yield builder
    building.reset(token)


# --- the function -------------------------------------------------------------------------------


def test_a_step_is_called_like_its_function():
    assert step(add)(1) == 3
    assert step(add)(1, b=5) == 6
    with pytest.raises(TypeError, match="missing 1 required"):
        step(add)()


def test_a_step_looks_like_its_function():
    made = step(add)
    assert (made.name, made.__doc__, made.__module__) == ("add", "Add two numbers.", __name__)
    assert made.__wrapped__ is made.function is add
    assert inspect.signature(made) == inspect.signature(add)
    assert made.target == f"{__name__}:add"


def test_the_target_names_where_the_function_is_defined():
    class Of:
        @staticmethod
        @step
        def inner():
            return 1

    prefix = "test_the_target_names_where_the_function_is_defined.<locals>"
    assert Of.inner.target == f"{__name__}:{prefix}.Of.inner"


def test_a_script_is_named_by_its_file_once_that_is_known(monkeypatch):
    def load():
        return 1

    monkeypatch.setattr(load, "__module__", "__main__")
    monkeypatch.setattr(steps, "main_module", [])
    assert module_of(load) == "__main__"
    steps.main_module.append("scripts.mine")
    assert module_of(load) == "scripts.mine"
    assert step(load).target.startswith("scripts.mine:")
    assert module_of(add) == __name__


# --- options ------------------------------------------------------------------------------------


def test_a_step_without_options_has_the_defaults():
    expected = StepOptions(
        num_cpus=1,
        num_gpus=0,
        memory=None,
        resources={},
        retries=0,
        timeout=None,
        cache=True,
        expires=None,
        depends_on=(),
        batch=None,
        kept=None,
        uncounted=(),
        driver=False,
    )
    assert step(add).options == step()(add).options == expected


def test_options_are_those_that_were_given():
    options = {
        "num_cpus": 0,
        "num_gpus": 0.5,
        "memory": 1e9,
        "resources": {"tpu": 1},
        "retries": 3,
        "timeout": 60,
        "cache": False,
        "expires": 5,
        "depends_on": ("env:HOME", "file:data/a.csv"),
        "batch": "a",
        "kept": "b",
        "uncounted": ("b",),
        "driver": True,
    }
    made = step(**options)(add)
    assert isinstance(made, Step)
    assert made.options == StepOptions(**options)
    assert made(1) == 3


def test_resources_may_be_none():
    assert step(resources=None)(add).options.resources == {}


def test_an_option_that_there_is_not_is_refused():
    with pytest.raises(PipelineError, match="@step has no option 'num_cpu'") as failed:
        step(num_cpu=1)
    assert failed.value.hint == "did you mean 'num_cpus'?"


@pytest.mark.parametrize(
    "options",
    [{"batch": "items"}, {"uncounted": ("a", "items")}, {"batch": "a", "kept": "items"}],
)
def test_an_option_names_parameters_that_there_are(options):
    with pytest.raises(PipelineError) as failed:
        step(**options)(add)
    assert str(failed.value) == "step 'add' has no parameter 'items'; it has a, b"


def test_the_first_unknown_parameter_by_the_alphabet_is_named():
    with pytest.raises(PipelineError, match="no parameter 'x'"):
        step(batch="z", uncounted=("y", "x"))(add)


@pytest.mark.parametrize("entry", ["HOME", "url:http://a", "", "ENV:HOME", ":a"])
def test_a_step_depends_on_variables_and_files_alone(entry):
    with pytest.raises(PipelineError) as failed:
        step(depends_on=("env:HOME", entry))(add)
    expected = f"step 'add': depends_on {entry!r} must be env:NAME or file:PATH"
    assert str(failed.value) == expected


def many(*args):
    return args


def named(**kwargs):
    return kwargs


def both(a, *args, b=1, **kwargs):
    return a


@pytest.mark.parametrize("function", [many, named, both])
def test_a_step_names_each_of_its_parameters(function):
    with pytest.raises(PipelineError, match=r"takes \*args or \*\*kwargs; name each parameter"):
        step(function)


def before_a_slash(a, /):
    return a


def test_a_step_is_called_by_name():
    with pytest.raises(PipelineError, match="parameters before a `/`"):
        step(before_a_slash)


async def later():
    return 1


def each():
    yield 1


@pytest.mark.parametrize(
    ("thing", "why"),
    [
        (partial(add, 1), "not for partial"),
        (lambda: 1, "not for a lambda"),
        (int, "not for type 'int'"),
        (len, "not for builtin_function_or_method 'len'"),
        (3, "not for int"),
        (step(add), "'add' is a step already"),
        (later, "'later' is an async function"),
        (each, "'each' is a generator"),
    ],
)
def test_a_step_is_a_plain_function_with_a_name(thing, why):
    with pytest.raises(PipelineError, match=why):
        step(thing)
    with pytest.raises(PipelineError, match=why):
        step(num_cpus=1)(thing)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"retries": -1}, "retries must not be negative, it is -1"),
        ({"retries": "3"}, "retries must be a number, it is '3'"),
        ({"retries": 1.5}, "retries must be a whole number .*, it is 1.5"),
        ({"retries": float("inf")}, "retries must be a whole number .*, it is inf"),
        ({"timeout": 0}, "timeout must be above 0 .*, it is 0"),
        ({"timeout": float("inf")}, r"timeout must be above 0 and at most 1e\+09 seconds"),
        ({"timeout": True}, "timeout must be a number, it is True"),
        ({"expires": 10**400}, r"expires must be at most 1e\+18"),
        ({"resources": ["tpu"]}, r"resources must be a mapping"),
        ({"depends_on": (3,)}, "depends_on 3 must be env:NAME or file:PATH"),
        ({"timeout": -0.5}, "timeout must not be negative, it is -0.5"),
        ({"num_cpus": float("nan")}, "num_cpus must not be negative, it is nan"),
        ({"resources": {"tpu": -1}}, r"resources\['tpu'\] must not be negative"),
        ({"uncounted": "a"}, r"uncounted must be a tuple: \('a',\)"),
        ({"depends_on": "env:HOME"}, r"depends_on must be a tuple: \('env:HOME',\)"),
        ({"depends_on": ("env:",)}, "depends_on 'env:' must be env:NAME"),
        ({"batch": "a", "uncounted": ("a",)}, "'a' is what each item is found by"),
        ({"kept": "b"}, "kept='b' is told of the other items of a batch: it needs batch"),
        ({"batch": "b", "kept": "b"}, "kept='b' is told of the other items"),
    ],
)
def test_an_option_that_does_not_fit_is_refused(options, why):
    with pytest.raises(PipelineError, match=f"step 'add': {why}"):
        step(**options)(add)


def test_what_a_step_is_told_by_the_run_has_a_default():
    with pytest.raises(PipelineError, match="step 'add' needs a default for 'a'") as failed:
        step(batch="b", kept="a")(add)
    assert failed.value.hint == "write a=()"


# --- what a step's name means -------------------------------------------------------------------


def scaled(by):
    @step
    def scale(x):
        return by * x

    return scale


def times(by):
    def wrap(function):
        @wraps(function)
        def wrapped(x):
            return by * function(x)

        return wrapped

    return wrap


def plain(x):
    return x


@step
@times(2)
def decorated(x):
    return x


tripled = step(times(3)(plain))
same = step(plain)


class Holder:
    @staticmethod
    @step
    def inside(x):
        return x


@pytest.mark.parametrize("made", [decorated, same, Holder.inside], ids=["def", "plain", "class"])
def test_a_step_is_found_by_its_name(made):
    made.check_found()


def test_a_step_that_a_factory_makes_is_refused():
    with pytest.raises(PipelineError, match="'scale' uses 'by' of the function"):
        scaled(2).check_found()


def test_a_step_under_the_name_of_another_function_is_refused():
    with pytest.raises(PipelineError, match=r"step 'plain' is not what .*:plain means"):
        tripled.check_found()


def test_what_is_wrong_with_a_step_is_an_error_of_usage():
    assert issubclass(PipelineError, UsageError)
    assert PipelineError.exit_code == 2


# --- inside a pipeline function -----------------------------------------------------------------


def test_inside_a_pipeline_function_a_call_adds_a_node_and_runs_nothing(builder):
    called = []

    @step
    def load(n):
        called.append(n)

    load(1)
    assert list(builder.nodes) == ["load"]
    assert called == []


@pytest.mark.parametrize(
    ("args", "kwargs"), [((1,), {}), ((1, 2), {}), ((), {"a": 1}), ((), {"b": 2, "a": 1})]
)
def test_arguments_are_bound_by_name_with_their_defaults(builder, args, kwargs):
    step(add)(*args, **kwargs)
    arguments = builder.nodes["add"].arguments
    assert {name: argument.value for name, argument in arguments.items()} == {"a": 1, "b": 2}
    assert list(arguments) == ["a", "b"]


def test_parameters_that_are_given_by_name_alone_are_bound_too(builder):
    @step
    def load(a, *, b=3):
        return a

    load(1)
    assert builder.nodes["load"].arguments["b"].value == 3


@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [
        ((), {}, "missing a required argument: 'a'"),
        ((1, 2, 3), {}, "too many positional arguments"),
        ((1,), {"a": 1}, "multiple values for argument 'a'"),
        ((1,), {"c": 1}, "got an unexpected keyword argument 'c'"),
    ],
)
def test_a_call_that_does_not_fit_is_refused_with_the_steps_name(builder, args, kwargs, said):
    with pytest.raises(PipelineError) as failed:
        step(add)(*args, **kwargs)
    assert str(failed.value) == f"step 'add' was called wrongly: {said}"
    assert failed.value.__cause__ is None
    assert builder.nodes == {}


def test_what_a_step_is_told_by_the_run_is_not_given_by_a_pipeline(builder):
    draw = step(batch="a", kept="b")(add)
    draw([1, 2])
    assert list(builder.nodes) == ["add[0]", "add[1]"]
    for given in ({"b": ()}, {"b": None}):
        with pytest.raises(PipelineError, match="step 'add' is told 'b' by the run"):
            draw([1], **given)


def test_outside_a_pipeline_what_the_run_tells_can_be_given():
    assert step(batch="a", kept="b")(add)([1], [2]) == [1, 2]
