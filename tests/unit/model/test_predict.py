"""A row gets the same score, bit for bit, whatever rows it is asked with."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from raypipe.config.training import MlpConfig
from raypipe.errors import StepFailed, UsageError
from raypipe.model.build import build_module
from raypipe.model.checkpoint import save_weights
from raypipe.model.predict import BLOCK, Predictor, load_predictor
from raypipe.values.signature import Label

TASKS = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}


class Narrow(nn.Module):
    """Ends in a layer so narrow that its kernel rounds by place; 45 values make it show."""

    def __init__(self) -> None:
        super().__init__()
        self.widen = nn.Linear(3, 45)
        self.head = nn.Linear(45, 3)

    def forward(self, tensors):
        return self.head(self.widen(tensors["dense"]))


@pytest.fixture(params=[*TASKS, "narrow"])
def predictor(request, signature) -> Predictor:
    """A predictor of each task, and one whose module is sensitive to a row's place."""
    task = "multiclass" if request.param == "narrow" else request.param
    signature = replace(signature, label=Label(name="y", task=task, classes=TASKS[task]))
    torch.manual_seed(0)
    module = Narrow() if request.param == "narrow" else build_module(MlpConfig(), signature)
    return Predictor(module, signature)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 99), rows=st.integers(1, 100))
def test_the_score_of_a_row_does_not_depend_on_the_rows_beside_it(
    predictor, make_share, start, rows
):
    tensors = make_share(200).tensors
    together = predictor.scores(tensors)

    asked = predictor.scores({name: t[start : start + rows] for name, t in tensors.items()})

    assert asked.tobytes() == together[start : start + rows].tobytes()


def test_the_number_of_threads_does_not_change_a_score(predictor, make_share):
    tensors = make_share(100).tensors
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(predictor.scores(tensors).tobytes())
    finally:
        torch.set_num_threads(before)

    assert found[0] == found[1]


def test_built_in_models_are_scored_in_blocks_whatever_the_number_of_classes(signature):
    for classes in range(2, 14):
        names = tuple(map(str, range(classes)))
        many = replace(signature, label=Label(name="y", task="multiclass", classes=names))
        assert Predictor(build_module(MlpConfig(), many), many).block == BLOCK


@pytest.mark.parametrize(
    ("task", "shape"), [("binary", ()), ("multiclass", (3,)), ("regression", ())]
)
@pytest.mark.parametrize("rows", [0, 1, 32, 70])
def test_scores_have_the_shape_of_the_task(signature, make_share, task, shape, rows):
    signature = replace(signature, label=Label(name="y", task=task, classes=TASKS[task]))

    scores = Predictor(build_module(MlpConfig(), signature), signature).scores(
        make_share(rows).tensors
    )

    assert scores.shape == (rows, *shape)
    assert scores.dtype == np.float32
    if task == "binary":
        assert ((scores >= 0) & (scores <= 1)).all()
    if task == "multiclass":
        assert np.allclose(scores.sum(axis=1), 1)


def test_numpy_arrays_are_as_good_as_tensors(signature, make_share):
    predictor = Predictor(build_module(MlpConfig(), signature), signature)
    tensors = make_share(5).tensors
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}

    assert np.array_equal(predictor.scores(arrays), predictor.scores(tensors))


def test_a_number_is_told_as_the_label_has_it(signature, make_share):
    plain = replace(signature, label=Label(name="y", task="regression"))
    label = Label(name="y", task="regression", log=True, center=2.0, scale=3.0)
    module, tensors = build_module(MlpConfig(), plain), make_share(40).tensors
    learned = Predictor(module, plain).scores(tensors).astype(np.float64)
    told = Predictor(module, replace(signature, label=label)).scores(tensors)
    assert told == pytest.approx(np.maximum(np.expm1(learned * 3 + 2), 0), rel=1e-5)


def test_dropout_is_off(signature, make_share):
    predictor = Predictor(build_module(MlpConfig(dropout=0.9), signature).train(), signature)
    tensors = make_share(5).tensors

    assert np.array_equal(predictor.scores(tensors), predictor.scores(tensors))


def test_kept_weights_give_the_scores_of_the_module_they_were_of(signature, make_share, tmp_path):
    module = build_module(MlpConfig(), signature, seed=7)
    save_weights(module.state_dict(), tmp_path / "weights.safetensors")
    tensors = make_share(40).tensors

    loaded = load_predictor(MlpConfig(), signature, tmp_path / "weights.safetensors")

    assert np.array_equal(loaded.scores(tensors), Predictor(module, signature).scores(tensors))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"indices": None}, "reads tensor 'indices', which is not given; given are 'dense'"),
        ({"dense": np.zeros((5, 2))}, r"'dense' has rows of shape \[2\]; the model reads \[3\]"),
        ({"dense": np.zeros((4, 3))}, r"different numbers of rows: \{'dense': 4, 'indices': 5\}"),
    ],
)
def test_tensors_that_are_not_as_the_signature_says_are_refused(
    signature, make_share, change, said
):
    given = {**make_share(5).tensors, **change}
    given = {name: tensor for name, tensor in given.items() if tensor is not None}

    with pytest.raises(UsageError, match=said):
        Predictor(build_module(MlpConfig(), signature), signature).scores(given)


def test_a_module_that_gives_the_wrong_shape_is_named_with_expected_and_got(signature, make_share):
    class Wide(nn.Module):
        def forward(self, tensors):
            return tensors["dense"]

    with pytest.raises(StepFailed, match=r"shape \[32, 3\] .* expected shape \[32, 1\]"):
        Predictor(Wide(), signature).scores(make_share(5).tensors)
