"""Where the request log keeps what is not an open segment."""

from pathlib import Path

SEALED = "sealed"
"""Folder of sealed segments, beside the open ones."""


def removed_file(folder: Path) -> Path:
    """Return the file that says what rules removed."""
    return folder / "removed.json"
