"""What a step prints: kept in a file of the run, and shown where a person may look."""

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO


class Tee(io.TextIOBase):
    """Writes to a file that is made with the first word, and to a stream beside it.

    Each line is in the file at once, so that one can look while the step runs, or after it died.
    """

    def __init__(self, file: Path, beside: TextIO | None) -> None:
        self._path = file
        self._file: TextIO | None = None
        self._beside = beside

    encoding = "utf-8"
    """What its bytes are taken for."""

    @property
    def buffer(self) -> io.RawIOBase:
        """The same for bytes."""
        return _Bytes(self)

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Write to both."""
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open(
                "a", buffering=1, encoding="utf-8", errors="backslashreplace"
            )
        self._file.write(text)
        if self._beside is not None:
            self._beside.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush both."""
        for stream in (self._file, self._beside):
            if stream is not None:
                stream.flush()

    def close(self) -> None:
        """Close the file; the stream beside it stays open."""
        file, self._file = self._file, None
        super().close()
        if file is not None:
            file.close()


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
def printing_to(file: Path, *, aloud: bool) -> Iterator[None]:
    """Keep what the body prints in a file; `aloud` shows it on stderr too, never on stdout.

    Standard output belongs to the command: with --json it is read by programs.
    """
    tee = Tee(file, sys.stderr if aloud else None)
    try:
        with contextlib.redirect_stdout(tee):
            yield
    finally:
        tee.close()


def log_file(home: Path, run: str, step: str) -> Path:
    """Return where what a step of a run prints is kept."""
    return home / "runs" / run / f"{step.replace('/', '_')}.log"
