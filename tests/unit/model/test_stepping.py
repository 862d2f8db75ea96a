"""What the loop may be told: each option does what it says, and the default is what it was."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from raypipe.config.loop import EXTRA_METRICS, LOSSES
from raypipe.config.training import MlpConfig, TrainingConfig
from raypipe.errors import StepFailed, UsageError
from raypipe.model.build import build_module
from raypipe.model.extra_metrics import extra_metrics_of
from raypipe.model.fit import check_labels, measure
from raypipe.model.losses import loss_of, weight_of_classes
from raypipe.model.schedule import learning_rate, rate_at
from raypipe.model.share import Share
from raypipe.model.tasks import scores
from raypipe.model.weights import begin_with, read_weights
from raypipe.values.signature import Label

BASE = {
    "model": MlpConfig(hidden=(8,), dropout=0.0),
    "epochs": 2,
    "batch_size": 16,
    "patience": None,
    "learning_rate": 0.01,
}


@pytest.fixture
def run(signature, make_share):
    """Train a tiny model with options; returns the history."""
    shares = make_share(64), make_share(40, seed=1)

    def run(signature=signature, shares=shares, **options):
        return measure(TrainingConfig(**{**BASE, **options}), signature, *shares)

    return run


def tagged(share: Share) -> Share:
    """The same rows with three labels each that follow from their values."""
    dense = share.tensors["dense"]
    return replace(share, label=(dense > 0).float())


@pytest.mark.slow
def test_several_labels_are_learnt_at_once(run, signature, make_share):
    named = replace(signature, label=Label(name="tags", task="multilabel", classes=("a", "b", "c")))
    shares = tagged(make_share(200)), tagged(make_share(100, seed=1))

    history = run(named, shares, task="multilabel", epochs=8, metrics=("f1", "exact_match"))

    assert history[-1]["auc"] > 0.9 > history[0]["auc"]
    assert {"loss", "auc", "accuracy", "f1", "exact_match"} <= history[-1].keys()


@pytest.mark.parametrize(
    ("label", "says"),
    [(torch.ones(4), r"shape \[4\]"), (torch.ones(4, 3), "the same labels in all 4 rows")],
)
def test_several_labels_that_tell_nothing_are_refused(signature, label, says):
    named = replace(signature, label=Label(name="tags", task="multilabel", classes=("a", "b", "c")))

    with pytest.raises(StepFailed, match=says):
        check_labels(label, named)


def test_accumulated_batches_are_one_step_of_a_larger_batch(run):
    whole, parts = run(batch_size=64), run(batch_size=16, accumulate=4)

    for one, other in zip(whole, parts, strict=True):
        assert other == pytest.approx(one, rel=1e-4)
    assert parts != pytest.approx(run(batch_size=16)[0], rel=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "bf16"},
        {"optimizer": "sgd"},
        {"schedule": "constant"},
        {"clip_norm": 0.01},
        {"loss": "focal"},
        {"class_weights": {"yes": 5.0}},
    ],
    ids=lambda options: next(iter(options)),
)
def test_an_option_changes_what_is_learnt_and_it_is_still_learnt(run, options):
    history = run(epochs=6, **options)

    assert history[-1]["loss"] < history[0]["loss"]
    assert history[-1]["train_loss"] != run(epochs=6)[-1]["train_loss"]


def test_a_deterministic_training_has_torch_refuse_what_is_not(signature, make_share):
    seen = []
    settings = TrainingConfig(**BASE, deterministic=True)

    measure(
        settings,
        signature,
        make_share(32),
        make_share(8, seed=1),
        on_epoch=lambda end: seen.append(torch.are_deterministic_algorithms_enabled()),
    )

    assert seen == [True, True]
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ({"kind": "constant"}, [1, 1, 1, 1, 1, 1, 1, 1]),
        ({"kind": "step", "every": 2, "factor": 0.5}, [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5]),
        ({"kind": "cosine", "warmup": 0.5}, [0.25, 0.5, 0.75, 1, 1, 0.8536, 0.5, 0.1464]),
    ],
)
def test_the_rate_of_each_step_is_that_of_the_schedule(schedule, rates):
    settings = TrainingConfig(schedule=schedule)

    found = [rate_at(settings.schedule, 1.0, step, epochs=4, steps=2) for step in range(8)]

    assert found == pytest.approx(rates, abs=1e-4)


def test_the_default_schedule_is_the_cosine_to_the_bit():
    settings = TrainingConfig()

    for step in range(20):
        assert rate_at(settings.schedule, 0.3, step, epochs=4, steps=5) == learning_rate(
            0.3, step, 20
        )


# --- losses and metrics -------------------------------------------------------------------------


def drawn(task: str, rows: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    logits = torch.randn(rows, 1 if task in ("binary", "regression") else 3, generator=draw)
    label = {
        "binary": (torch.arange(rows) % 2).float(),
        "multiclass": torch.arange(rows) % 3,
        "multilabel": (torch.randn(rows, 3, generator=draw) > 0).float(),
        "regression": torch.randn(rows, generator=draw),
    }[task]
    return logits, label


@pytest.mark.parametrize(("task", "loss"), [(t, n) for t, names in LOSSES.items() for n in names])
def test_a_loss_is_one_finite_number_a_row_and_less_where_the_answer_is_right(task, loss):
    logits, label = drawn(task)
    of = loss_of(TrainingConfig(task=task, loss=loss))

    found = of(logits, label)

    assert found.shape == (12,)
    assert torch.isfinite(found).all()
    right = {
        "binary": (2 * label - 1)[:, None] * 9,
        "multiclass": functional.one_hot(label.long(), 3) * 18.0 if task == "multiclass" else None,
        "multilabel": (2 * label - 1) * 9,
        "regression": label[:, None],
    }[task]
    assert of(right, label).sum() < 0.1 < found.sum()


def test_a_focal_loss_is_the_cross_entropy_discounted_by_its_paper():
    logits, label = drawn("binary")
    p = torch.where(label > 0, torch.sigmoid(logits[:, 0]), 1 - torch.sigmoid(logits[:, 0]))

    found = loss_of(TrainingConfig(loss="focal"))(logits, label)

    assert torch.allclose(found, -((1 - p) ** 2) * torch.log(p), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "name"), [(t, n) for t, ns in EXTRA_METRICS.items() for n in ns])
def test_a_metric_by_name_is_a_number_and_best_for_right_answers(task, name):
    logits, label = drawn(task)

    found = extra_metrics_of((name,), task, scores(task, logits), label)

    assert list(found) == [name]
    assert np.isfinite(found[name])


@pytest.mark.slow
def test_f1_is_that_of_its_definition():
    score, label = torch.tensor([0.9, 0.8, 0.2, 0.4]), torch.tensor([1.0, 0.0, 1.0, 0.0])

    assert extra_metrics_of(("f1",), "binary", score, label)["f1"] == pytest.approx(0.5)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module of the user's own."""
    (tmp_path / "mine_options.py").write_text(
        "from torch.nn import functional\n"
        "def loss(logits, label):\n"
        "    return functional.mse_loss(logits[:, 0].sigmoid(), label, reduction='none')\n"
        "def mean(logits, label):\n"
        "    return loss(logits, label).mean()\n"
        "def gap(scores, label):\n"
        "    return abs(scores.mean() - label.mean())\n"
        "number = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "mine_options"
    sys.modules.pop("mine_options", None)


@pytest.mark.slow
def test_a_loss_and_a_metric_of_ones_own(run, mine):
    history = run(loss=f"{mine}:loss", metrics=(f"{mine}:gap",))

    assert history[-1]["loss"] < 0.3
    assert 0 <= history[-1]["gap"] < 0.5


@pytest.mark.parametrize(
    ("name", "says"), [("mean", r"returned shape \[\] for"), ("number", "which is a int")]
)
def test_a_loss_of_ones_own_that_is_none_is_refused(run, mine, name, says):
    with pytest.raises((StepFailed, UsageError), match=says):
        run(loss=f"{mine}:{name}")


# --- class weights ------------------------------------------------------------------------------


def test_balanced_classes_count_alike_in_sum():
    label = torch.tensor([0, 0, 0, 0, 0, 1, 1, 2])
    named = Label(name="y", task="multiclass", classes=("a", "b", "c"))

    weight = weight_of_classes(
        TrainingConfig(task="multiclass", class_weights="balanced"), named, label
    )(label)

    sums = [float(weight[label == one].sum()) for one in range(3)]
    assert sums == pytest.approx([8 / 3] * 3)


def test_weights_by_name_of_a_class_that_there_is_not_are_refused(signature):
    settings = TrainingConfig(class_weights={"maybe": 2.0})

    with pytest.raises(UsageError, match="'maybe'; the classes of 'late' are no, yes"):
        weight_of_classes(settings, signature.label, torch.zeros(3))


# --- pretrained ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["safetensors", "pt", "ddp"])
def test_weights_of_a_file_are_taken_by_name_and_shape(tmp_path, kind):
    given = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3))
    module = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
    fresh, file = module[1].weight.clone(), tmp_path / "weights"
    state = given.state_dict()
    if kind == "safetensors":
        save_file(state, file)
    else:
        prefix = "module." if kind == "ddp" else ""
        torch.save({f"{prefix}{name}": tensor for name, tensor in state.items()}, file)

    begin_with(module, file)

    assert torch.equal(module[0].weight, given[0].weight)
    assert torch.equal(module[1].weight, fresh)


def test_training_begins_with_them(run, signature, tmp_path):
    other = build_module(BASE["model"], signature, seed=7)
    save_file(other.state_dict(), tmp_path / "w.safetensors")

    with_file = run(pretrained=tmp_path / "w.safetensors", epochs=1)

    assert with_file != run(epochs=1)
    assert with_file == run(pretrained=tmp_path / "w.safetensors", epochs=1, seed=0)


class Evil:
    """A pickle that would run code."""

    def __reduce__(self):
        return (print, ("owned",))


def test_a_file_that_would_run_code_does_not(tmp_path, capsys):
    torch.save({"w": Evil()}, tmp_path / "evil.pt")

    with pytest.raises(UsageError, match=r"cannot read weights in evil.pt"):
        read_weights(tmp_path / "evil.pt")

    assert "owned" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04torn"])
def test_a_file_that_holds_none_is_named(tmp_path, content):
    (tmp_path / "w.pt").write_bytes(content)

    with pytest.raises(UsageError, match=r"cannot read weights in w.pt") as refused:
        read_weights(tmp_path / "w.pt")

    assert "state_dict" in refused.value.hint


def test_a_file_of_quite_another_model_is_refused(tmp_path):
    save_file(nn.Linear(3, 3).state_dict(), tmp_path / "w")

    with pytest.raises(UsageError, match="the model has none of them"):
        begin_with(nn.Sequential(nn.Linear(2, 2)), tmp_path / "w")


@pytest.mark.slow
def test_a_compiled_training_learns_what_one_that_is_not_does(run):
    for one, other in zip(run(), run(compile=True), strict=True):
        assert other == pytest.approx(one, rel=1e-3)
