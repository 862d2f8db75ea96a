"""What commands say: results to stdout, faults to stderr, as text or as JSON lines."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, TextIO

from raypipe.errors import Interrupted, RaypipeError

Json = Any


def write(text: str, stream: TextIO | None = None) -> None:
    """Print a text at once; a reader that has gone away stops nothing, nor does a full disk.

    What the stream's encoding lacks, such as a byte of a file's name, is written as an escape.
    """
    stream = stream or sys.stdout
    encoding = stream.encoding or "utf-8"
    with hearing(stream):
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()


@contextmanager
def hearing(stream: TextIO) -> Iterator[None]:
    """Write nothing more to a stream that takes no more; what stdout lacks is `unsaid`."""
    try:
        yield
    except BrokenPipeError:
        silence(stream)
    except OSError as error:
        silence(stream)
        if stream is sys.stdout:
            _unsaid.append(error)


_unsaid: list[OSError] = []


def unsaid() -> OSError | None:
    """Return why a result could not be written though it was asked for."""
    return _unsaid[0] if _unsaid else None


def open_closed_streams() -> None:
    """Give a process the standard streams that it was started without.

    Else the next files that it opens would be these, and get what is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            mode = "w" if number else "r"
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def silence(stream: TextIO) -> None:
    """Send what is still written to a stream nowhere: nobody reads it any more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def plain(value: Any) -> Json:
    """Return what JSON can say of a record."""
    if hasattr(value, "to_json"):
        return plain(value.to_json())
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, str | int | float):
        return value
    return str(value)


_told: list[bool] = []


def conclude_json(result: Json) -> None:
    """Print the result object, the last line of a command with --json."""
    _told.append(True)
    write(dump(result))


def begin() -> None:
    """Start a command, of which nothing has been told yet."""
    _told.clear()


def conclude_text(text: str) -> None:
    """Print what a command came to, for people."""
    _told.append(True)
    write(text)


def has_told() -> bool:
    """Say whether it has been printed what the command came to: once a command."""
    return bool(_told)


def show(name: str, record: Any, *, as_json: bool, text: Callable[[Json], str]) -> None:
    """Print one record: as the last JSON line, or as text."""
    data = plain(record)
    if as_json:
        conclude_json({"event": "result", name: data, "error": None})
    else:
        write(text(data))


def dump(data: Json) -> str:
    """Return one JSON line, in letters that standard output has."""
    ascii_only = (sys.stdout.encoding or "").lower() not in {"utf-8", "utf8"}
    return json.dumps(data, ensure_ascii=ascii_only, separators=(",", ":"), default=str)


def note(text: str) -> None:
    """Say something beside the result."""
    write(text, sys.stderr)


def fault(error: RaypipeError) -> str:
    """Return what is said of an error: what happened, then what to do."""
    frames = getattr(error, "frames", "")
    parts = [f"raypipe: {error}", frames.rstrip(), error.hint and f"→ {error.hint}"]
    return "\n".join(part for part in parts if part)


def error_record(error: BaseException, code: int) -> Json:
    """Return the result object of a command that came to nothing."""
    from raypipe.app.outcome import error_json

    if isinstance(error, RaypipeError):
        said = error_json(error, getattr(error, "step", None) or None)
    else:
        message = str(error) or type(error).__name__
        said = {"kind": type(error).__name__, "step": None, "message": message, "exit": code}
    return {
        "event": "result",
        "run": None,
        "pipeline": None,
        "status": "cancelled" if isinstance(error, Interrupted) else "failed",
        "steps": [],
        "outputs": {},
        "reviews": [],
        "error": said,
    }
