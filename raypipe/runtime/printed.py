"""What a step prints and logs: kept line by line in a file of the run, and shown beside it."""

import contextlib
import io
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

Warn = Callable[[str], None]
"""Hears of what a step logs as a warning or worse."""
MOST_WARNINGS = 20
"""Warnings of one attempt that are told at once; the file has all."""


class Log:
    """A file of JSON lines, made with the first of them; each is in it at once.

    So that one can look while the step runs, or after it died. Lines of several processes do not
    mix. Each has `time`, `level`, `step`, `attempt`, `stream` and `text`.
    """

    def __init__(self, file: Path, step: str = "", attempt: int = 1) -> None:
        self._path = file
        self._of = {"step": step, "attempt": attempt}
        self._descriptor: int | None = None
        self.quiet = threading.local()
        """Says of a thread that what it prints is what was logged, and is in the file already."""

    def add(self, stream: str, level: str, text: str, **more: str) -> None:
        """Append one line."""
        if self._descriptor is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o644)
        line = {"time": time.time(), "level": level, **self._of, "stream": stream, **more}
        said = json.dumps({**line, "text": text}, separators=(",", ":"))
        os.write(self._descriptor, said.encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class Tee(io.TextIOBase):
    """Writes whole lines to a log, and every word to a stream beside it.

    Lines of several threads do not mix. Of a line that overwrites itself, as progress bars do, the
    last state is kept.
    """

    encoding = "utf-8"
    """What its bytes are taken for."""

    def __init__(self, log: Log, stream: str, beside: TextIO | None) -> None:
        self._log = log
        self._stream = stream
        self._beside = beside
        self._deaf = False
        self._begun: dict[int, str] = {}
        """The line that each thread is writing."""

    @property
    def buffer(self) -> io.RawIOBase:
        """The same for bytes."""
        return _Bytes(self)

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def fileno(self) -> int:
        """Return that of the stream beside it, for a process that is to write there."""
        return super().fileno() if self._beside is None else self._beside.fileno()

    def write(self, text: str) -> int:
        """Write to both."""
        if self._beside is not None and not self._deaf:
            with self._heard():
                self._beside.write(text)
        if not getattr(self._log.quiet, "now", False):
            thread = threading.get_ident()
            *whole, rest = (self._begun.pop(thread, "") + text).split("\n")
            for line in whole:
                self._keep(line)
            if rest:
                self._begun[thread] = rest
        return len(text)

    def _keep(self, line: str) -> None:
        self._log.add(self._stream, "info", line.rstrip("\r").rpartition("\r")[2])

    def flush(self) -> None:
        """Flush the stream beside it; a line is kept once it has its end."""
        if self._beside is not None and not self._deaf:
            with self._heard():
                self._beside.flush()

    @contextlib.contextmanager
    def _heard(self) -> Iterator[None]:
        """Go on without the stream beside it where that takes no more: that is no step's fault."""
        try:
            yield
        except OSError:  # its reader has gone away, or its disk is full
            self._deaf = True

    def close(self) -> None:
        """Keep the lines that have no end; the stream beside it stays open."""
        begun, self._begun = self._begun, {}
        for line in begun.values():
            self._keep(line)
        super().close()


class _Bytes(io.RawIOBase):
    """Writes bytes where a text goes."""

    def __init__(self, text: Tee) -> None:
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._text.write(bytes(data).decode(self._text.encoding, "backslashreplace"))
        return len(data)


@contextlib.contextmanager
def printing_to(
    file: Path, *, aloud: bool, step: str = "", attempt: int = 1, warn: Warn | None = None
) -> Iterator[None]:
    """Keep what the body prints and logs in a file, line by line.

    `aloud` shows what goes to stdout on stderr too, never on stdout: that belongs to the command,
    and with --json it is read by programs. What goes to stderr is shown there in any case.
    """
    log = Log(file, step, attempt)
    out = Tee(log, "stdout", sys.stderr if aloud else None)
    err = Tee(log, "stderr", sys.stderr)
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            _records_to(log, warn),
        ):
            yield
    finally:
        out.close()
        err.close()
        log.close()


@contextlib.contextmanager
def _records_to(log: Log, warn: Warn | None) -> Iterator[None]:
    """Keep what Python's `logging` lets through in the body, with its level.

    By the one method that every record passes, not by a handler: a root logger that has one takes
    `basicConfig` for done, and no longer prints warnings by itself. Where a program has set up
    nothing, records of level INFO are kept too.
    """
    import logging

    root = logging.getLogger()
    level = root.level
    plain = not root.handlers and level == logging.WARNING
    pass_on = logging.Logger.callHandlers
    left = MOST_WARNINGS

    def keep(logger: logging.Logger, record: logging.LogRecord) -> None:
        nonlocal left
        text = _text(record)
        log.add("logging", record.levelname.lower(), text, logger=record.name)
        if warn is not None and record.levelno >= logging.WARNING and left > 0:
            left -= 1
            warn(f"{record.levelname.lower()}: {text.partition(chr(10))[0][:500]}")
        before = getattr(log.quiet, "now", False)
        log.quiet.now = True
        try:
            pass_on(logger, record)
        finally:
            log.quiet.now = before

    if plain:
        root.setLevel(logging.INFO)
    logging.Logger.callHandlers = keep  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        logging.Logger.callHandlers = pass_on  # type: ignore[method-assign]
        if plain and root.level == logging.INFO:
            root.setLevel(level)


def _text(record: Any) -> str:
    """Return what a record says, with the traceback that it carries."""
    import logging

    try:
        return logging.Formatter().format(record)
    except Exception as error:  # a message that does not fit its arguments
        return f"{record.msg!r} ({type(error).__name__}: {error})"


def log_file(home: Path, run: str, step: str) -> Path:
    """Return where what a step of a run prints and logs is kept."""
    return home / "runs" / run / f"{step.replace('/', '_')}.jsonl"
