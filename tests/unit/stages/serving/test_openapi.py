"""What a gateway says of itself is valid, real, and safe to look at."""

from raypipe.stages.serving.asked import Reading
from raypipe.stages.serving.openapi import document, example_row, page
from raypipe.values.signature import Feature, Label, Signature

SIGNATURE = Signature(
    features=(
        Feature(name="<script>alert(1)</script>", type="double", nullable=True),
        Feature(name="n", type="int64", nullable=False),
        Feature(name="day", type="date32[day]", nullable=False),
        Feature(name="at", type="timestamp[us, tz=UTC]", nullable=False),
        Feature(name="price", type="decimal128(5, 1)", nullable=False),
        Feature(name="flag", type="bool", nullable=False),
    ),
    tensors=(),
    label=Label(name="late", task="binary", classes=("no", "yes")),
)
MODELS = {"flights": {"1.0.1": SIGNATURE, "1.0.0": SIGNATURE}}


def test_each_endpoint_of_each_version_is_there():
    paths = document(MODELS, "0.1.0")["paths"]
    for action in ("", "/ready", "/predict", "/infer"):
        for place in ("", "/versions/1.0.0", "/versions/1.0.1"):
            assert f"/v2/models/flights{place}{action}" in paths
    assert "/v2/models/flights/feedback" in paths


def test_the_example_row_is_one_that_is_answered():
    assert Reading(SIGNATURE).rows([example_row(SIGNATURE)]).rows == 1


def test_references_lead_somewhere():
    made = document(MODELS, "0.1.0")
    schemas = made["components"]["schemas"]

    def references(value):
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for item in value.values():
                yield from references(item)
        elif isinstance(value, list):
            for item in value:
                yield from references(item)

    found = set(references(made))
    assert found
    assert all(one.removeprefix("#/components/schemas/") in schemas for one in found)


def test_the_page_needs_nothing_else_and_runs_nothing():
    text = page(document(MODELS, "0.1.0"))
    assert "<script" not in text
    assert "http://" not in text
    assert "https://" not in text
    assert "&lt;script&gt;alert(1)" in text
