"""The families for tables, texts and images learn, and no row's answer depends on its company."""

import numpy as np
import pytest
import torch

from raypipe.config.families import (
    ImageClassifierConfig,
    TabularResNetConfig,
    TextClassifierConfig,
)
from raypipe.config.training import TrainingConfig
from raypipe.errors import UsageError
from raypipe.model.build import build_module
from raypipe.model.fit import measure
from raypipe.model.predict import Predictor
from raypipe.model.share import Share
from raypipe.values.signature import Label, Signature, TensorSpec

TEXT = TensorSpec(name="words", dtype="int64", shape=(6,), cardinalities=(20,))
IMAGE = TensorSpec(name="picture", dtype="float32", shape=(1, 8, 8))
LABEL = Label(name="y", task="multiclass", classes=("a", "b", "c"))


def of(*tensors: TensorSpec) -> Signature:
    return Signature(features=(), tensors=tensors, label=LABEL)


def texts(rows: int, seed: int) -> Share:
    """The class is which of three words is in the text, anywhere; the end of each is padding."""
    draw = np.random.default_rng(seed)
    tokens = draw.integers(4, 20, (rows, 6))
    label = draw.integers(0, 3, rows)
    tokens[np.arange(rows), draw.integers(0, 4, rows)] = label + 1
    tokens[:, 5] = 0
    return Share(tensors={"words": torch.from_numpy(tokens)}, label=torch.from_numpy(label))


def images(rows: int, seed: int) -> Share:
    """The class is which third of the picture is bright."""
    draw = np.random.default_rng(seed)
    pixels = draw.standard_normal((rows, 1, 8, 8)).astype(np.float32)
    label = draw.integers(0, 3, rows)
    for row, one in enumerate(label):
        pixels[row, :, :, one * 3 : one * 3 + 2] += 1.5
    return Share(tensors={"picture": torch.from_numpy(pixels)}, label=torch.from_numpy(label))


FAMILIES = {
    "bag": (TextClassifierConfig(width=16, dropout=0.0), of(TEXT), texts),
    "transformer": (TextClassifierConfig(width=16, layers=1, heads=2), of(TEXT), texts),
    "image": (ImageClassifierConfig(widths=(8, 16)), of(IMAGE), images),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_learns_what_the_label_follows_from(name):
    model, signature, make = FAMILIES[name]
    settings = TrainingConfig(
        model=model, task="multiclass", epochs=12, batch_size=50, learning_rate=0.02
    )

    history = measure(settings, signature, make(300, 0), make(100, 1))

    assert history[-1]["accuracy"] > 0.85


@pytest.mark.slow
def test_the_resnet_learns_a_table(signature, make_share):
    settings = TrainingConfig(
        model=TabularResNetConfig(width=16, blocks=2), epochs=8, batch_size=50, learning_rate=0.01
    )

    history = measure(settings, signature, make_share(400), make_share(100, seed=1))

    assert history[-1]["auc"] > 0.93


@pytest.mark.parametrize("name", [*FAMILIES, "table"])
def test_a_row_gets_the_same_bits_whatever_stands_beside_it(name, signature):
    if name == "table":
        model, signature = TabularResNetConfig(width=16), signature
        share = {
            "dense": torch.randn(9, 3),
            "indices": torch.stack([torch.arange(9) % 5, torch.arange(9)], 1),
        }
    else:
        model, signature, make = FAMILIES[name]
        share = make(9, 2).tensors
    predictor = Predictor(build_module(model, signature), signature)

    together = predictor.scores(share)
    alone = [predictor.scores({k: t[i : i + 1] for k, t in share.items()})[0] for i in range(9)]

    assert np.array_equal(together, np.array(alone))


@pytest.mark.parametrize("layers", [0, 1])
def test_padding_changes_no_answer_and_an_empty_text_has_one(layers):
    model = TextClassifierConfig(width=16, layers=layers, heads=2)
    module = build_module(model, of(TEXT)).eval()
    with torch.no_grad():
        module.tokens["words"].weight[0] = 100.0
        table = {"words": torch.tensor([[3, 4, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])}
        before = module(table)
        module.tokens["words"].weight[0] = -7.0

        assert torch.isfinite(before).all()
        assert torch.allclose(module(table)[0], before[0])


@pytest.mark.parametrize(
    ("model", "signature", "says"),
    [
        (TextClassifierConfig(), of(IMAGE), "no text to read"),
        (TextClassifierConfig(tensors=("other",)), of(TEXT), r"cannot read 'other' as tokens"),
        (ImageClassifierConfig(), of(TEXT), "finds 0 images"),
        (ImageClassifierConfig(tensor="other"), of(IMAGE), "no image named 'other'"),
        (TabularResNetConfig(), of(), "nothing to read"),
    ],
)
def test_a_signature_without_what_a_family_reads_is_refused(model, signature, says):
    with pytest.raises(UsageError, match=says):
        build_module(model, signature)
