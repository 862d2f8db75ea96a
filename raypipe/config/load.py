"""Files and `--set` to settings, settings to JSON and back."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from raypipe.config.cycle import CycleConfig
from raypipe.config.faults import MANY, Fault, dotted, find_faults, suggest
from raypipe.config.text import Document, Setting, apply, parse, parse_sets
from raypipe.errors import NotFound, SettingsError

LARGEST = 1_000_000
"""Bytes beyond which a file is surely no settings file."""


def load(path: str | Path, sets: Sequence[str] = ()) -> CycleConfig:
    """Read a settings file, `--set` options over it; SettingsError lists all that is wrong."""
    document = parse(_read(Path(path)), str(path))
    settings = parse_sets(sets)
    if not isinstance(document.data, dict):
        what = "is empty" if document.data is None else "is no mapping of keys to values"
        raise SettingsError(
            f"{path} {what}", hint="configs/README.md says which file to start from."
        )
    return _check(apply(document.data, settings), document, settings)


def to_json(config: CycleConfig) -> dict[str, Any]:
    """Return settings as what JSON can say; `from_json` reads it back equal."""
    return config.model_dump(mode="json")


def from_json(data: Any) -> CycleConfig:
    """Read back what `to_json` wrote."""
    return _check(data, Document(name="the settings of the run", data=data), ())


def schema_json() -> str:
    """Return the JSON schema of a settings file, for editors."""
    return json.dumps(CycleConfig.model_json_schema(), indent=2)


def _read(path: Path) -> str:
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise SettingsError(
                f"{path} has {size:,} bytes; a settings file has at most {LARGEST:,}",
                hint="Is this a data file? `raypipe data import` takes those.",
            )
        return path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"there is no file {path}", hint=_nearby(path)) from None
    except IsADirectoryError:
        raise SettingsError(f"{path} is a folder, not a file", hint=_nearby(path / "_")) from None
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{path} is no text in UTF-8: byte {error.start} is {error.object[error.start]:#x}",
            hint="Settings are a YAML file; save it in UTF-8.",
        ) from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None


def _nearby(path: Path) -> str:
    try:
        names = [other.name for other in path.parent.iterdir() if other.suffix in (".yaml", ".yml")]
    except OSError:
        names = []
    if not names:
        return "Check the path; configs/README.md says which files there are to start from."
    return f"In {path.parent}: {suggest(path.name, names)}"


def _check(data: Any, document: Document, settings: Sequence[Setting]) -> CycleConfig:
    try:
        return CycleConfig.model_validate(data)
    except ValidationError as error:
        found = find_faults(CycleConfig, error.errors(include_url=False))
        raise _in_words(found, document, settings) from None


def _in_words(
    faults: Sequence[Fault], document: Document, settings: Sequence[Setting]
) -> SettingsError:
    hint = "`raypipe config schema` lists every setting with its bounds."
    if len(faults) == 1:
        where = _where(faults[0], document, settings)
        name = where if where.startswith("--set") else f"{document.name}{where and ', ' + where}"
        return SettingsError(f"{name}: {faults[0].sentence}", hint=hint)
    lines = [f"{len(faults)} settings of {document.name} are wrong:"]
    in_order = sorted(faults, key=lambda fault: document.line(fault.path) or 0)
    for fault in in_order[:MANY]:
        where = _where(fault, document, settings)
        lines.append(f"  {where}{where and ': '}{fault.sentence}")
    if len(faults) > MANY:
        lines.append(f"  … and {len(faults) - MANY} more")
    return SettingsError("\n".join(lines), hint=hint)


def _where(fault: Fault, document: Document, settings: Sequence[Setting]) -> str:
    wrong = tuple(dotted(fault.path).split("."))  # a key of tuning.space has dots of its own
    for setting in reversed(settings):
        shared = min(len(wrong), len(setting.path))
        if shared and wrong[:shared] == tuple(map(str, setting.path[:shared])):
            return f"--set {setting.text}"
    line = document.line(fault.path)
    return f"line {line}" if line else ""
