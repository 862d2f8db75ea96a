"""A settings file for a file of one's own: what is in the data decides what it says."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from raypipe.app.init_columns import Use, of_part, uses_of
from raypipe.app.init_reading import Looked, look_at
from raypipe.app.init_split import split_for
from raypipe.app.init_task import asked_of, effort_of, image_shape, is_skewed
from raypipe.app.init_text import Draft, written
from raypipe.config.cycle import CycleConfig
from raypipe.config.data import DataConfig, HashSplit
from raypipe.config.faults import find_faults
from raypipe.config.importing import ImportConfig
from raypipe.config.text import parse
from raypipe.config.validation import ValidationConfig
from raypipe.engine.records import Json
from raypipe.errors import RaypipeError, UsageError
from raypipe.stages.validation.inference import infer_schema
from raypipe.stages.validation.leakage import of_leakage
from raypipe.store.faults import disk_faults
from raypipe.store.versions import did_you_mean

_BIRTH = re.compile(r"(?i)birth|born|dob")
"""Names of moments that say nothing of when a row happened."""


def init(
    files: Sequence[str],
    target: str | None = None,
    *,
    name: str | None = None,
    to: str | None = None,
    out: Path | None = None,
    key: Sequence[str] = (),
    given: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Json:
    """Write a settings file for the rows of files, to predict the column `target`.

    Of a folder of images the target is `label` unless it is named. `given` are fields of
    ImportConfig. UsageError where there is a file of that name without `force`, where the target is
    not there or cannot be predicted, and where the files cannot be read.
    """
    name = _slug(files[0]) if name is None else name
    place = Path(f"{name}.yaml") if out is None else out
    _may_be_written(place, force=force)
    settings = _settings(given or {})
    looked = look_at(files, settings)
    target = target or ("label" if looked.images else None)
    if target is None:
        raise UsageError(
            "--target is missing: the column that is to be predicted",
            hint=f"The columns are {', '.join(looked.table.column_names[:20])}.",
        )
    key = tuple(dict.fromkeys(key))
    _known(looked.table, (target, *key))
    if target in key:
        raise UsageError(
            f"--key names {target!r}, which is what is to be predicted",
            hint="Name the columns that tell one row from all others.",
        )
    draft = _draft(
        looked, target, name=name, dataset=to or f"local://{name}/main", key=key,
        files=files, imports=dict(given or {}), place=place,
    )  # fmt: skip
    text = written(draft)
    _check(text, place)
    with disk_faults(f"{str(place)!r} cannot be written"):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    return {
        "file": str(place),
        "rows": looked.rows,
        "label": target,
        "task": draft.asked.task,
        "model": draft.model,
        "left_out": [use.column for use in of_part(draft.uses, "out")],
        "doubts": [f"{use.column}: {use.doubt}" for use in draft.uses if use.doubt],
        "next": list(draft.commands),
    }


def _draft(
    looked: Looked,
    target: str,
    *,
    name: str,
    dataset: str,
    key: tuple[str, ...],
    files: Sequence[str],
    imports: dict[str, Any],
    place: Path,
) -> Draft:
    profile, table = looked.profile, looked.table
    column = profile.columns[target]
    asked = asked_of(column, skewed=is_skewed(column))
    shapes = _shapes(table)
    uses = uses_of(
        profile,
        target,
        _leaks(looked, target),
        unique=_unique(looked),
        pictures=shapes,
        key=key,
    )
    if not any(use.part in _FEATURES for use in uses):
        raise UsageError(
            f"no column can be learned from to predict {target!r}: "
            + "; ".join(f"{use.column} {use.why}" for use in uses[:5]),
            hint="Give a file with columns that describe a row.",
        )
    time = next((u.column for u in of_part(uses, "date") if not _BIRTH.search(u.column)), None)
    named = key or tuple(use.column for use in of_part(uses, "key"))[:1]
    pictures = of_part(uses, "image")
    return Draft(
        name=name,
        dataset=dataset,
        source=", ".join(files),
        rows=looked.rows,
        asked=asked,
        uses=uses,
        key=named,
        split=split_for(table, uses, target, time, named),
        time=time,
        effort=effort_of(looked.rows, _family(uses)),
        image=shapes[pictures[0].column] if pictures else None,
        imports=imports,
        commands=_commands(files, dataset, place),
    )


_FEATURES = ("number", "skewed", "cyclic", "few", "many", "date", "text", "list", "image")


def _family(uses: tuple[Use, ...]) -> Literal["table", "text", "image"]:
    if of_part(uses, "image"):
        return "image"
    return "text" if of_part(uses, "text") else "table"


def _leaks(looked: Looked, target: str) -> dict[str, str]:
    """Return the columns that alone tell the label, with what is said of each."""
    data = DataConfig(dataset="local://a/main", label=target, split=HashSplit(columns=(target,)))
    settings = ValidationConfig()
    schema = infer_schema("init", looked.profile, data, settings)
    return {one.column: one.said for one in of_leakage(looked.profile, schema, settings)}


def _unique(looked: Looked) -> tuple[str, ...]:
    """Return the columns that have another value in each row."""
    rows = looked.table.num_rows
    return tuple(
        name
        for name, column in looked.profile.columns.items()
        if column.distinct >= 0.9 * rows
        and not pa.types.is_nested(looked.table[name].type)
        and pc.count_distinct(looked.table[name], "all").as_py() == rows
    )


def _shapes(table: pa.Table) -> dict[str, tuple[int, int, int]]:
    """Return the shape of images, by the columns that hold some."""
    held = (
        field.name
        for field in table.schema
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)
    )
    told = ((name, image_shape(table[name])) for name in held)
    return {name: shape for name, shape in told if shape is not None}


def _known(table: pa.Table, names: Sequence[str]) -> None:
    for name in names:
        if name not in table.column_names:
            raise UsageError(
                f"there is no column {name!r}" + did_you_mean(name, table.column_names),
                hint=f"The columns are {', '.join(table.column_names[:20])}"
                + (", …" if table.num_columns > 20 else "."),
            )


def _may_be_written(place: Path, *, force: bool) -> None:
    if place.is_dir():
        raise UsageError(f"{place} is a folder", hint="Name a file: --out FILE.yaml.")
    if place.exists() and not force:
        raise UsageError(
            f"{place} is there already, and is left as it is",
            hint="Write it anew with --force, or another with --out FILE.",
        )


def _settings(given: Mapping[str, Any]) -> ImportConfig:
    try:
        return ImportConfig(**given)
    except ValidationError as error:
        (fault, *_) = find_faults(ImportConfig, error.errors())
        raise UsageError(fault.sentence, hint="raypipe init --help") from error


def _slug(file: str) -> str:
    """Return a name for a model from that of a file: `Sales 2024.csv.gz` is `sales-2024`."""
    stem = PurePosixPath(file.rstrip("/")).name.split(".")[0].lower()
    slug = re.sub(r"[^a-z0-9_]+", "-", stem).strip("-_")
    return slug if slug[:1].isalpha() else f"model-{slug}".rstrip("-")


def _commands(files: Sequence[str], dataset: str, place: Path) -> tuple[str, ...]:
    named = " ".join(map(shlex.quote, files))
    config = shlex.quote(str(place))
    return (
        f"raypipe data import {named} --to {shlex.quote(dataset)} --config {config}",
        f"raypipe run {config}",
    )


def _check(text: str, place: Path) -> None:
    """Raise a fault of raypipe's own unless the settings are right."""
    try:
        CycleConfig.model_validate(parse(text, str(place)).data)
    except ValidationError as error:
        (fault, *_) = find_faults(CycleConfig, error.errors())
        if fault.path and str(fault.path[0]) in ("name", "data"):
            raise UsageError(fault.sentence, hint="raypipe init --help") from error
        raise RaypipeError(f"init wrote settings that are wrong: {fault.sentence}") from error
