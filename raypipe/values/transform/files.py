"""A transform in a folder: `transform.json` and `vocabularies.arrow`; never pickle."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from raypipe.errors import StoreError
from raypipe.values.signature import Feature, Label, Signature, TensorSpec
from raypipe.values.transform.groups import KINDS, Group, Vocabulary

if TYPE_CHECKING:
    from raypipe.values.transform.transform import Transform

STATE = "transform.json"
VOCABULARIES = "vocabularies.arrow"
FORMAT = 1


def save(transform: "Transform", folder: Path) -> None:
    """Write a transform; the same transform gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    body = {
        "format": FORMAT,
        "groups": [_group_to_json(group) for group in transform.groups],
        "signature": asdict(transform.signature),
        "label_type": transform.label_type,
        "optional": transform.optional,
        "mean_weight": transform.mean_weight,
    }
    _write_vocabularies(transform.groups, folder / VOCABULARIES)
    (folder / STATE).write_text(json.dumps(body, indent=1, allow_nan=False) + "\n")


def load(folder: Path) -> dict[str, Any]:
    """Read the fields of a transform; StoreError if the folder does not hold one."""
    try:
        body = json.loads((folder / STATE).read_text())
        if body["format"] != FORMAT:
            raise StoreError(
                f"The transform in {folder} is of format {body['format']}, not {FORMAT}",
                hint="Use the raypipe that wrote it, or fit the transform again.",
            )
        words = _read_vocabularies(folder / VOCABULARIES)
        return {
            "groups": tuple(_group(i, data, words) for i, data in enumerate(body["groups"])),
            "signature": _signature(body["signature"]),
            "label_type": body["label_type"],
            "optional": tuple(body["optional"]),
            "mean_weight": body.get("mean_weight", 1.0),
        }
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise StoreError(
            f"There is no whole transform in {folder}: {type(error).__name__}: {error}",
            hint="Run what made it again.",
        ) from error


def _group_to_json(group: Group) -> dict[str, Any]:
    kind = next(name for name, known in KINDS.items() if isinstance(group, known))
    state = asdict(group)
    state.pop("vocabularies", None)
    return {"kind": kind, **state}


def _write_vocabularies(groups: tuple[Group, ...], file: Path) -> None:
    rows = [
        {"group": number, "column": column, "values": list(known)}
        for number, group in enumerate(groups)
        if isinstance(group, Vocabulary)
        for column, known in zip(group.columns, group.vocabularies, strict=True)
    ]
    table = pa.Table.from_pylist(rows, schema=_SCHEMA)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, _SCHEMA) as writer:
        writer.write_table(table)


_SCHEMA = pa.schema(
    [("group", pa.int32()), ("column", pa.string()), ("values", pa.list_(pa.string()))]
)


def _read_vocabularies(file: Path) -> dict[int, tuple[tuple[str, ...], ...]]:
    with pa.OSFile(str(file), "rb") as source, pa.ipc.open_file(source) as reader:
        rows = reader.read_all().to_pylist()
    found: dict[int, tuple[tuple[str, ...], ...]] = {}
    for row in rows:
        found[row["group"]] = (*found.get(row["group"], ()), tuple(row["values"]))
    return found


def _group(
    number: int, data: dict[str, Any], words: dict[int, tuple[tuple[str, ...], ...]]
) -> Group:
    kind: Any = KINDS[data["kind"]]
    state = {name: _tuples(value) for name, value in data.items() if name != "kind"}
    if issubclass(kind, Vocabulary):
        state["vocabularies"] = words[number]
    group: Group = kind(**state)
    return group


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _signature(data: dict[str, Any]) -> Signature:
    return Signature(
        features=tuple(Feature(**feature) for feature in data["features"]),
        tensors=tuple(_tensor(tensor) for tensor in data["tensors"]),
        label=Label(**{**data["label"], "classes": tuple(data["label"]["classes"])}),
        weight=data.get("weight"),
    )


def _tensor(data: dict[str, Any]) -> TensorSpec:
    sizes = data["cardinalities"]
    return TensorSpec(
        name=data["name"],
        dtype=data["dtype"],
        shape=tuple(data["shape"]),
        cardinalities=None if sizes is None else tuple(sizes),
        columns=tuple(data["columns"]),
    )
