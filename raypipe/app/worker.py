"""One call of a step, with the codec and the artifacts of its home: what every runtime runs."""

from functools import cache
from pathlib import Path

from raypipe.engine.ports import CallOutcome, StepCall
from raypipe.engine.step import main_module
from raypipe.runtime.execute import execute
from raypipe.store.folder import FolderArtifacts, digest_path
from raypipe.store.paths import HomePaths
from raypipe.values.codec import TreeCodec


def run_inline(call: StepCall) -> CallOutcome:
    """Run a call in this process."""
    return execute(call, _codec(), _artifacts(call.home), "inline")


def run_on_ray(call: StepCall) -> CallOutcome:
    """Run a call in a Ray worker."""
    return execute(call, _codec(), _artifacts(call.home), "ray")


@cache
def _artifacts(home: Path) -> FolderArtifacts:
    return FolderArtifacts(HomePaths(home).artifacts)


@cache
def _codec() -> TreeCodec:
    return TreeCodec(digest_path, main_module[-1] if main_module else None)
