"""Calls of steps, as the driver makes them, with a home to publish to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raypipe.engine.ports import StepCall
from raypipe.store.content import digest_path
from raypipe.store.folder import FolderArtifacts
from raypipe.values.codec import TreeCodec


@pytest.fixture
def codec() -> TreeCodec:
    return TreeCodec(digest_path)


@pytest.fixture
def artifacts(tmp_path: Path) -> FolderArtifacts:
    return FolderArtifacts(tmp_path / "home" / "artifacts")


@pytest.fixture
def call_of(tmp_path: Path, codec: TreeCodec) -> Callable[..., StepCall]:
    """Makes a call of a function with arguments; `_name=` sets a field of the call."""

    def call_of(function: Callable[..., Any], **given: Any) -> StepCall:
        fields = {name[1:]: given.pop(name) for name in list(given) if name.startswith("_")}
        scratch = tmp_path / "home" / "work" / function.__name__
        scratch.mkdir(parents=True, exist_ok=True)
        return StepCall(
            **{
                "id": function.__name__,
                "step": function.__name__,
                "target": f"nowhere:{function.__name__}",
                "root": tmp_path,
                "folders": (".",),
                "arguments": {name: codec.encode(value).manifest for name, value in given.items()},
                "batch": None,
                "resources": {"num_cpus": 1},
                "timeout": None,
                "scratch": scratch,
                "events": scratch / "events.jsonl",
                "run": "r1",
                "home": tmp_path / "home",
                "function": function,
                **fields,
            }
        )

    return call_of
