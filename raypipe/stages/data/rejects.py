"""Rows of an input that are left out."""

import json
from dataclasses import asdict
from pathlib import Path

from raypipe.values.imported import Rejected

EXAMPLES = 5
"""Rejected rows that are shown."""


class Rejects:
    """Rows that are left out: how many, the first of them, and all of them in a file."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self.count = 0
        self.first: list[Rejected] = []
        self.file: Path | None = None

    def add(self, rejected: Rejected) -> None:
        """Leave a row out."""
        self.count += 1
        if len(self.first) < EXAMPLES:
            self.first.append(rejected)
        if self._folder is not None:
            if self.file is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self.file = self._folder / "rejects.jsonl"
                self.file.unlink(missing_ok=True)
            with self.file.open("a", encoding="utf-8", errors="backslashreplace") as out:
                out.write(json.dumps(asdict(rejected), ensure_ascii=False) + "\n")
