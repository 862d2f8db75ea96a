"""What a loop of the user's own reports is a candidate, or it is told what it lacks."""

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from raypipe.config.training import MlpConfig, TrainingConfig
from raypipe.errors import StepFailed
from raypipe.model.build import build_module
from raypipe.model.own_loop.reported import Reported, trained_of

SETTINGS = TrainingConfig(model=MlpConfig(hidden=(4,)), loop="mine:loop", keep=2)


@pytest.fixture
def report(tmp_path, signature):
    """Make a report whose checkpoint holds a module's state dict."""

    def report(number, loss, state=None, name="model.safetensors"):
        folder = tmp_path / f"c{number}"
        folder.mkdir()
        state = state or build_module(SETTINGS.model, signature, seed=number).state_dict()
        if name.endswith(".pt"):
            torch.save(state, folder / name)
        else:
            save_file(state, folder / name)
        metrics = {} if loss is None else {"loss": loss}
        return Reported(number=number, metrics={**metrics, "auc": 0.5, "who": "me"}, folder=folder)

    return report


@pytest.fixture
def trained(tmp_path, signature):
    def trained(*kept):
        reports = [one.metrics for one in kept]
        return trained_of(reports, kept, SETTINGS, signature, tmp_path / "made")

    return trained


@pytest.mark.parametrize("name", ["model.safetensors", "weights.pt"])
def test_the_best_by_loss_are_kept_best_first(report, trained, signature, name):
    found = trained(*(report(n, loss, name=name) for n, loss in ((1, 0.9), (2, 0.3), (3, 0.5))))

    assert [one.epoch for one in found.checkpoints] == [2, 3]
    assert found.candidate.metrics == {"loss": 0.3, "auc": 0.5}
    kept = load_file(found.candidate.weights)
    assert torch.equal(
        kept["head.weight"], build_module(SETTINGS.model, signature, seed=2).head.weight
    )
    assert [row["epoch"] for row in found.history] == [1, 2, 3]


def test_names_of_ddp_are_no_matter(report, trained, signature):
    state = build_module(SETTINGS.model, signature).state_dict()

    assert trained(report(1, 0.5, {f"module.{k}": t for k, t in state.items()})).candidate


@pytest.mark.parametrize(
    ("loss", "says"), [(None, "it names auc, who"), (float("nan"), "its loss is nan")]
)
def test_a_report_without_a_loss_is_refused(report, trained, loss, says):
    with pytest.raises(StepFailed, match=says) as told:
        trained(report(1, loss))

    assert "ray.train.report" in told.value.hint


def test_weights_of_another_module_are_named(report, trained):
    with pytest.raises(StepFailed, match=r"w is \[2\] in the checkpoint and absent|is absent in"):
        trained(report(1, 0.5, {"w": torch.ones(2)}))


def test_a_folder_without_weights_says_what_is_there(report, trained):
    one = report(1, 0.5)
    (one.folder / "model.safetensors").rename(one.folder / "model.bin")

    with pytest.raises(StepFailed, match=r"has 0 files of weights .* in its folder: model.bin"):
        trained(one)


@pytest.mark.slow
def test_a_report_that_a_full_disk_tore_is_left_out(tmp_path):
    from raypipe.model.own_loop.reports.on_ray import Reports, read_reports

    told = []
    file = tmp_path / "reports.jsonl"
    file.write_text('{"loss": 0.5}\n{"lo')
    context = SimpleNamespace(log_metric=lambda *one: told.append(one), progress=lambda *_: None)

    Reports(file, context, epochs=3).after_report(None, [{"loss": 0.4}], None)

    assert read_reports(file) == [{"loss": 0.5}, {"loss": 0.4}]
    assert told == [("loss", 0.4, 2)]
