"""What a model takes and gives, in words."""

from raypipe.values.signature import Label, TensorSpec


def test_a_tensor_is_told_in_a_line():
    names = tuple(f"v{i}" for i in range(14))
    dense = TensorSpec(name="dense", dtype="float32", shape=(14,), columns=names)
    assert str(dense) == f"float32 [14]: {', '.join(names[:12])}, and 2 more"
    tokens = TensorSpec(name="tokens", dtype="int64", shape=(128,), cardinalities=(8000,))
    assert str(tokens) == "int64 [128] of up to 8,000 values"


def test_a_label_is_told_in_a_line():
    assert str(Label(name="late", task="binary", classes=("no", "yes"))) == "late (binary): no, yes"
    price = Label(name="price", task="regression", log=True, center=12.5, scale=0.5)
    assert str(price) == "price (regression): learned as log(1 + x), less 12.5, divided by 0.5"
    assert str(Label(name="y", task="regression")) == "y (regression)"
