"""What a gateway's endpoints are: an OpenAPI document of the models that it serves, and a page."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from raypipe.stages.serving.oip import datatype_of
from raypipe.values.schema import kind_of
from raypipe.values.signature import Feature, Signature
from raypipe.values.transform.types import arrow_type

Models = Mapping[str, Mapping[str, Signature]]
"""Model to version to signature; the first version is the one that is shown."""

_PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
"""An image of one pixel, in base64."""
EXAMPLES: dict[str, Any] = {
    "bool": True,
    "string": "text",
    "large_string": "text",
    "date32[day]": "2026-01-31",
    "binary": _PIXEL,
    "large_binary": _PIXEL,
}
KINDS = {"BOOL": "boolean", "BYTES": "string", "FP32": "number", "FP64": "number"}
ERROR = {"$ref": "#/components/schemas/Error"}


def document(models: Models, version: str) -> dict[str, Any]:
    """Return an OpenAPI 3.1 document."""
    paths: dict[str, Any] = {
        "/v2": {"get": _operation("What this server is, and which models it serves")},
        "/v2/health/live": {"get": _operation("Whether the server is up")},
        "/v2/health/ready": {"get": _operation("Whether it can answer", 503)},
        "/metrics": {"get": _operation("Counters, in Prometheus' text format")},
    }
    for model, versions in models.items():
        paths |= _of_model(model, versions)
    return {
        "openapi": "3.1.0",
        "info": {"title": "raypipe", "version": version, "description": "Served models."},
        "paths": paths,
        "components": {
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {"error": {"type": "string"}},
                },
                **{
                    f"{model}.row": _row(next(iter(v.values()))) for model, v in models.items() if v
                },
            }
        },
    }


def _of_model(model: str, versions: Mapping[str, Signature]) -> dict[str, Any]:
    if not versions:
        return {}
    signature = next(iter(versions.values()))
    row = example_row(signature)
    plain = {"rows": [row]}
    tensors = {
        "inputs": [
            {
                "name": feature.name,
                "datatype": datatype_of(feature),
                "shape": [1],
                "data": [row[feature.name]],
            }
            for feature in signature.features
        ]
    }
    truth = {"labels": [{"request": "ID", "row": 0, "label": _true(signature)}]}
    rows = {
        "type": "object",
        "required": ["rows"],
        "properties": {
            "rows": {"type": "array", "items": {"$ref": f"#/components/schemas/{model}.row"}},
            "id": {"type": "string"},
            "unit": {"type": "string"},
        },
    }
    base = f"/v2/models/{model}"
    found: dict[str, Any] = {}
    for place, words in (
        (base, "by its route"),
        *((f"{base}/versions/{version}", f"by version {version}") for version in versions),
    ):
        found[place] = {"get": _operation(f"What {model} takes and gives", 404)}
        found[f"{place}/ready"] = {"get": _operation(f"Whether {model} can answer", 404, 503)}
        found[f"{place}/predict"] = {
            "post": _operation(f"Rows as JSON objects, answered {words}", 400, 404, 413, 503)
            | _body(plain, rows)
        }
        found[f"{place}/infer"] = {
            "post": _operation(f"Open Inference Protocol, answered {words}", 400, 404, 413, 503)
            | _body(tensors, {"type": "object", "required": ["inputs"]})
        }
    found[f"{base}/feedback"] = {
        "post": _operation("What turned out to be true", 400, 404, 413, 503, done=202)
        | _body(truth, {"type": "object"})
    }
    return found


def _operation(summary: str, *errors: int, done: int = 200) -> dict[str, Any]:
    responses: dict[str, Any] = {str(done): {"description": "done"}}
    for status in errors:
        responses[str(status)] = {
            "description": "an error, in a sentence",
            "content": {"application/json": {"schema": ERROR}},
        }
    return {"summary": summary, "responses": responses}


def _body(example: Any, schema: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def _row(signature: Signature) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [feature.name for feature in signature.features],
        "properties": {
            feature.name: {"type": [_kind(feature), "null"], "description": feature.type}
            for feature in signature.features
        },
    }


def _kind(feature: Feature) -> str:
    if kind_of(feature.type) == "list":
        return "array"
    datatype = datatype_of(feature)
    return KINDS.get(datatype, "integer")


def example_row(signature: Signature) -> dict[str, Any]:
    """Return a row that a version answers."""
    return {feature.name: _example(feature) for feature in signature.features}


def _example(feature: Feature) -> Any:
    if feature.type in EXAMPLES:
        return EXAMPLES[feature.type]
    if feature.type.startswith("timestamp"):
        return "2026-01-31T12:00:00" + ("Z" if "tz=" in feature.type else "")
    if (inner := getattr(arrow_type(feature.type), "value_type", None)) is not None:
        return [_example(Feature(name=feature.name, type=str(inner), nullable=True))]
    return {"BYTES": "1", "FP32": 1.0, "FP64": 1.0}.get(datatype_of(feature), 1)


def _true(signature: Signature) -> Any:
    label = signature.label
    return label.classes[-1] if label.classes else 1.0


# --- the page -----------------------------------------------------------------------------------

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { font: 600 15px/1.5 ui-monospace, monospace; margin: 1.5rem 0 0 }
h2 b { background: #e8eef7; padding: .1rem .4rem; border-radius: .2rem; margin-right: .4rem }
p { margin: .2rem 0 } pre { background: #f5f5f5; padding: .6rem; overflow: auto }
"""


def page(document: Mapping[str, Any]) -> str:
    """Return the document as a page that needs nothing else: no script, no other server."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>{escape(document['info']['title'])}</title><style>{STYLE}</style>",
        f"<h1>{escape(document['info']['title'])} {escape(document['info']['version'])}</h1>",
        "<p>An error is always <code>{&quot;error&quot;: &quot;a sentence&quot;}</code>. ",
        "This page as data: <a href=openapi.json>openapi.json</a></p>",
    ]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2><b>{method.upper()}</b>{escape(path)}</h2>")
            parts.append(
                f"<p>{escape(operation['summary'])}: {', '.join(operation['responses'])}</p>"
            )
            if body := operation.get("requestBody"):
                example = body["content"]["application/json"]["example"]
                text = json.dumps(example, indent=1, ensure_ascii=False)
                parts.append(f"<pre>{escape(text)}</pre>")
    return "\n".join(parts)
