"""The built-in models keep the contract: named tensors in, logits of [rows, outputs] out."""

import copy
from dataclasses import replace

import pytest
import torch

from raypipe.errors import UsageError
from raypipe.model.families import TabularMlp, embedding_width
from raypipe.values.signature import Label, TensorSpec


def mlp(signature, **settings):
    return TabularMlp(
        signature, **{"hidden": (16, 8), "dropout": 0.0, "embedding_width": 16, **settings}
    )


@pytest.mark.parametrize(
    ("task", "classes", "outputs"),
    [("binary", ("no", "yes"), 1), ("multiclass", ("a", "b", "c"), 3), ("regression", (), 1)],
)
def test_gives_one_row_of_logits_for_each_row(signature, make_share, task, classes, outputs):
    signature = replace(signature, label=Label(name="y", task=task, classes=classes))

    assert mlp(signature)(make_share(7).tensors).shape == (7, outputs)


def test_reads_every_value_of_every_tensor(signature, make_share):
    module = mlp(signature).eval()
    tensors = make_share(4).tensors
    before = module(tensors)

    for name, columns in (("dense", 3), ("indices", 2)):
        for column in range(columns):
            changed = {**tensors, name: tensors[name].clone()}
            changed[name][:, column] = (changed[name][:, column] + 1) % 5
            assert not torch.equal(module(changed), before), (name, column)


def test_reads_tensors_of_one_value_a_row(signature, make_share):
    flat = TensorSpec(name="age", dtype="float32", shape=())
    code = TensorSpec(name="code", dtype="int64", shape=(), cardinalities=(3,))
    signature = replace(signature, tensors=(flat, code))

    assert mlp(signature)({"age": torch.ones(5), "code": torch.ones(5).long()}).shape == (5, 1)


def test_evaluation_goes_the_short_way_to_the_same_bits(signature, make_share):
    """Also for a copy, and for weights that were loaded since."""
    module = mlp(signature, dropout=0.5).eval()
    other = copy.deepcopy(mlp(signature)).eval()
    tensors = make_share(9).tensors
    for one in (module, other):
        with torch.no_grad():
            for parameter in one.parameters():
                parameter.add_(torch.rand_like(parameter))
        assert torch.equal(one(tensors), the_long_way(one, tensors))
    before = other(tensors)
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(tensors), module(tensors))
    assert not torch.equal(other(tensors), before)


def the_long_way(module, tensors):
    (tables,) = module.embeddings.values()
    places = [table(tensors["indices"][:, n]) for n, table in enumerate(tables)]
    return module.head(module.body(torch.cat([tensors["dense"], *places], dim=1)))


def test_trains_without_hidden_layers(signature, make_share):
    assert mlp(signature, hidden=())(make_share(3).tensors).shape == (3, 1)


def test_embeddings_are_narrow_for_few_values_and_bounded_for_many():
    widths = [embedding_width(n, 16) for n in (1, 2, 5, 40, 4000, 10**6)]

    assert widths == [2, 2, 4, 13, 16, 16]


def test_indices_without_a_cardinality_each_are_refused_by_name(signature):
    bare = TensorSpec(name="codes", dtype="int64", shape=(2,), cardinalities=(4,))

    with pytest.raises(UsageError, match=r"'codes'.*\(4,\)") as refused:
        mlp(replace(signature, tensors=(bare,)))

    assert "training.model.build" in refused.value.hint
