"""The Open Inference Protocol's JSON (version 2): requests into columns, answers into outputs.

Source: github.com/kserve/open-inference-protocol, inference_rest.md. Tensors are raw features, each
of shape [rows] or [rows, 1]; the binary tensor extension is not spoken.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raypipe.errors import UsageError
from raypipe.stages.serving.asked import Columns, kind_of, shown
from raypipe.values.signature import Feature, Signature

DATATYPES = {
    "bool": "BOOL",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "halffloat": "FP32",
    "float": "FP32",
    "double": "FP64",
}
"""Arrow's names of types to the protocol's; all others travel as text, BYTES."""
WHOLE = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
KNOWN = frozenset({"BOOL", *WHOLE, "FP32", "FP64", "BYTES"})


@dataclass(frozen=True, kw_only=True)
class InferRequest:
    """A request as the protocol has it."""

    id: str | None
    unit: str | None
    rows: int
    columns: Columns
    outputs: tuple[str, ...] | None
    """Outputs that are asked for; None: all."""


def read(body: Any) -> InferRequest:
    """Read an inference request; UsageError says what is wrong with it."""
    if type(body) is not dict:
        raise UsageError(f'the request is {kind_of(body)}; it must be an object with "inputs"')
    inputs = body.get("inputs")
    if type(inputs) is not list or not inputs:
        raise UsageError('"inputs" must be a list of tensors, one a feature')
    rows, columns = -1, {}
    for tensor in inputs:
        name, count, data = _plain_tensor(tensor) or _tensor(tensor)
        if name in columns:
            raise UsageError(f"the input {name!r} is given twice")
        if rows not in (-1, count):
            raise UsageError(f"the input {name!r} has {count} rows, those before it have {rows}")
        rows, columns[name] = count, data
    if not rows:
        raise UsageError("the inputs have no rows; give at least one")
    parameters = body.get("parameters") or {}
    if type(parameters) is not dict:
        raise UsageError(f'"parameters" is {kind_of(parameters)}; it must be an object')
    return InferRequest(
        id=text_of(body, "id"),
        unit=text_of(parameters, "unit"),
        rows=rows,
        columns=columns,
        outputs=_outputs(body.get("outputs")),
    )


def _tensor(tensor: Any) -> tuple[str, int, list[Any]]:
    if type(tensor) is not dict:
        raise UsageError(f"an input is {kind_of(tensor)}; it must be an object")
    name, shape, data = tensor.get("name"), tensor.get("shape"), tensor.get("data")
    if type(name) is not str or not name:
        raise UsageError('an input has no "name"')
    parameters = tensor.get("parameters")
    if type(parameters) is dict and "binary_data_size" in parameters:
        raise UsageError(
            f"the input {name!r} is binary, which is not spoken here; send its data as JSON"
        )
    if type(tensor.get("datatype")) is not str or tensor["datatype"] not in KNOWN:
        raise UsageError(
            f"the input {name!r} has the datatype {shown(tensor.get('datatype'))}; "
            f"known are {', '.join(sorted(KNOWN))}"
        )
    if type(shape) is not list or any(type(size) is not int or size < 0 for size in shape):
        raise UsageError(f'the input {name!r} has no "shape" such as [1]')
    if type(data) is not list:
        raise UsageError(f'the input {name!r} has no list of "data"')
    if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] != 1):
        raise UsageError(f"the input {name!r} has shape {shape}; a feature is [rows] or [rows, 1]")
    if len(shape) == 2 and data and type(data[0]) is list:
        data = [part[0] if type(part) is list and len(part) == 1 else part for part in data]
    if len(data) != shape[0]:
        raise UsageError(f"the input {name!r} has {len(data)} values for shape {shape}")
    return name, shape[0], data


def _plain_tensor(tensor: Any) -> tuple[str, int, list[Any]] | None:
    """Read a tensor that is as most are, quickly; None where there is more to look at."""
    if type(tensor) is not dict or len(tensor) != 4:
        return None
    name, shape, data = tensor.get("name"), tensor.get("shape"), tensor.get("data")
    kind = tensor.get("datatype")
    if type(name) is not str or type(kind) is not str or type(data) is not list:
        return None
    if type(shape) is not list or len(shape) != 1 or type(shape[0]) is not int:
        return None
    return (name, shape[0], data) if shape[0] == len(data) and kind in KNOWN and name else None


def _outputs(asked: Any) -> tuple[str, ...] | None:
    if asked is None:
        return None
    if type(asked) is not list:
        raise UsageError(f'"outputs" is {kind_of(asked)}; it must be a list')
    names = [name for one in asked if type(one) is dict and type(name := one.get("name")) is str]
    if len(names) != len(asked):
        raise UsageError('each of "outputs" must be an object with a "name"')
    wishes = [wish for one in asked if type(wish := one.get("parameters")) is dict]
    if any(wish.get("binary_data") for wish in wishes):
        raise UsageError("binary outputs are not spoken here; ask for JSON")
    return tuple(names) or None


def text_of(body: Mapping[str, Any], name: str) -> str | None:
    """Return a text that may be given; an empty one counts as none."""
    value = body.get(name)
    if value is None or (type(value) is str and len(value) <= 256):
        return value or None
    raise UsageError(f"{name!r} is {shown(value)}; it must be a text of at most 256 letters")


# --- answers ------------------------------------------------------------------------------------


def tensors(
    outputs: Mapping[str, Sequence[Any]], datatypes: Mapping[str, str], rows: int
) -> list[dict[str, Any]]:
    """Return outputs as the protocol has them; a list, which it does not know, as JSON text."""
    return [
        {"name": name, "shape": [rows], "datatype": datatypes[name], "data": _plain(data)}
        for name, data in outputs.items()
    ]


def _plain(data: Sequence[Any]) -> Sequence[Any]:
    if not data or type(data[0]) is not list:
        return data
    return [json.dumps(one, ensure_ascii=False) for one in data]


def chosen(
    outputs: Mapping[str, Sequence[Any]], asked: tuple[str, ...] | None
) -> Mapping[str, Sequence[Any]]:
    """Return the outputs that were asked for; UsageError names one that there is not."""
    if asked is None:
        return outputs
    for name in asked:
        if name not in outputs:
            raise UsageError(f"there is no output {name!r}; there are {', '.join(outputs)}")
    return {name: outputs[name] for name in asked}


def metadata(
    name: str,
    version: str,
    versions: Sequence[str],
    signature: Signature,
    outputs: Mapping[str, str],
) -> dict[str, Any]:
    """Return what the protocol says of a model."""
    return {
        "name": name,
        "versions": list(versions),
        "platform": "raypipe_pytorch",
        "inputs": [
            {"name": feature.name, "datatype": datatype_of(feature), "shape": [-1]}
            for feature in signature.features
        ],
        "outputs": [
            {"name": name, "datatype": datatype, "shape": [-1]}
            for name, datatype in outputs.items()
        ],
        "properties": {"version": version, "label": signature.label.name},
    }


def datatype_of(feature: Feature) -> str:
    """Return the protocol's name of a feature's type."""
    return DATATYPES.get(feature.type, "BYTES")
