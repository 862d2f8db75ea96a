"""Building a module from settings and a signature, with seeded weights and a checked contract."""

from typing import Any

import torch
from torch import Tensor, nn

from raypipe.config.families import (
    ImageClassifierConfig,
    TabularResNetConfig,
    TextClassifierConfig,
)
from raypipe.config.training import AnyModel, CustomModelConfig, MlpConfig
from raypipe.errors import RaypipeError, StepFailed, UsageError
from raypipe.model.families import TabularMlp
from raypipe.model.image import ImageClassifier
from raypipe.model.tabular_resnet import TabularResNet
from raypipe.model.text import TextClassifier
from raypipe.values.signature import Signature, TensorSpec

CONTRACT = "a model takes a dict of named tensors and returns logits of shape [rows, outputs]"
PROBE_ROWS = 2


def build_module(model: AnyModel, signature: Signature, *, seed: int = 0) -> nn.Module:
    """Return the module that `model` describes, its first weights drawn by `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = _make(model, signature)
    _check_contract(module, signature, _name(model))
    return module


def blank(spec: TensorSpec, rows: int) -> Tensor:
    """Return rows of zeros, of the dtype and shape that the signature gives a tensor."""
    return torch.zeros((rows, *spec.shape), dtype=getattr(torch, spec.dtype))


def _make(model: AnyModel, signature: Signature) -> nn.Module:
    match model:
        case MlpConfig():
            return TabularMlp(
                signature,
                hidden=model.hidden,
                dropout=model.dropout,
                embedding_width=model.embedding_width,
            )
        case TabularResNetConfig():
            return TabularResNet(signature, **_options(model))
        case TextClassifierConfig():
            return TextClassifier(signature, **_options(model))
        case ImageClassifierConfig():
            return ImageClassifier(signature, **_options(model))
        case CustomModelConfig():
            return _call(model, signature)


def _options(model: AnyModel) -> dict[str, Any]:
    """Return the settings of a family, by name."""
    return {name: value for name, value in dict(model).items() if name != "kind"}


def _call(model: CustomModelConfig, signature: Signature) -> nn.Module:
    from raypipe.model.code import resolve

    build = resolve(model.build)
    if not callable(build):
        raise UsageError(
            f"training.model.build names {model.build!r}, which is {_kind(build)} and no function",
            hint="name a function that takes the signature and returns a torch.nn.Module",
        )
    module = build(signature, **model.options)
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"{model.build} returned {_kind(module)}; it must return a torch.nn.Module"
        )
    return module


def _check_contract(module: nn.Module, signature: Signature, name: str) -> None:
    rows = {spec.name: blank(spec, PROBE_ROWS) for spec in signature.tensors}
    was_training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            logits = module(rows)
    except RaypipeError:
        raise
    except Exception as error:
        raise StepFailed(
            f"the model {name} failed on {PROBE_ROWS} rows of zeros with {_inputs(signature)}: "
            f"{type(error).__name__}: {error}",
            kind=type(error).__name__,
            hint=CONTRACT,
        ) from error
    finally:
        module.train(was_training)
    check_logits(logits, rows=PROBE_ROWS, outputs=signature.label.outputs, name=name)


def check_logits(logits: Any, *, rows: int, outputs: int, name: str = "") -> None:
    """Raise StepFailed unless `logits` is a tensor of shape [rows, outputs]."""
    if isinstance(logits, Tensor) and tuple(logits.shape) == (rows, outputs):
        return
    got = f"shape {list(logits.shape)}" if isinstance(logits, Tensor) else _kind(logits)
    named = f"the model {name}" if name else "the model"
    raise StepFailed(
        f"{named} returned {got} for {rows} rows; expected shape [{rows}, {outputs}]", hint=CONTRACT
    )


def _inputs(signature: Signature) -> str:
    shapes = (f"{spec.name}: {spec.dtype}{list(spec.shape)}" for spec in signature.tensors)
    return "{" + ", ".join(shapes) + "}"


def _name(model: AnyModel) -> str:
    return str(model.build) if isinstance(model, CustomModelConfig) else model.kind


def _kind(thing: Any) -> str:
    return "None" if thing is None else f"a {type(thing).__name__}"
