"""A run to go on from: its code, parameters, settings and commits, as they were."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from raypipe.app.alive import is_alive
from raypipe.app.assemble import Workshop
from raypipe.app.code import code_folder, packed_code
from raypipe.app.look import look
from raypipe.app.request import RunRequest
from raypipe.app.targets import Target, parse_target
from raypipe.engine.events import CodeDiffers
from raypipe.engine.graph import Graph
from raypipe.engine.plan import Planned
from raypipe.engine.records import Json, RunRecord, RunStatus
from raypipe.errors import NotFound, RaypipeError, StoreError, UsageError
from raypipe.store.places import PACKAGE
from raypipe.store.snapshot import differing_files


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """A run that is gone on from, and the code that is used for that."""

    run: RunRecord
    target: Target
    """In the project, or in the copy of its code."""
    home: Path
    uses: Literal["kept", "now"]
    beside: Path | None = None
    """The project's own root, where a copy of its code is used."""
    differs: tuple[str, ...] = ()
    """Files of the project that are not what they were."""

    @property
    def command(self) -> str:
        """What a person types to go on from there again."""
        now = " --code now" if self.uses == "now" and self.run.code else ""
        return f"raypipe run --resume {self.run.id}{now}"


def find_resumed(request: RunRequest) -> Resumed:
    """Return the run to go on from; UsageError if it is under way, or is none of a target's."""
    assert request.resume is not None
    if request.target is not None or request.sets:
        raise UsageError(
            "a run that is gone on from has its target and its settings",
            hint="leave TARGET and --set away, or leave --resume away",
        )
    workshop = look(request.home)
    run = workshop.ledger.get_run(request.resume)
    if run.status == RunStatus.RUNNING and is_alive(workshop, run):
        raise UsageError(
            f"run {run.id} is under way", hint=f"wait, or end it: raypipe cancel {run.id}"
        )
    if not run.place:
        raise UsageError(
            f"run {run.id} cannot be gone on from: it does not say which file it was of",
            hint=f"run it again: {(run.parameters or {}).get('command') or 'raypipe run TARGET'}",
        )
    return _with_code(workshop, run, request.code)


def _with_code(workshop: Workshop, run: RunRecord, code: Literal["kept", "now"] | None) -> Resumed:
    home = workshop.paths.home
    target = str(run.parameters["target"])
    name = target.rpartition(":")[2] if ".py:" in target else None
    own = _own_target(target)
    if run.code and code != "now":
        packed = packed_code(workshop, run.code)
        folder = code_folder(workshop, run.code)
        beside = None if own is None else own.root
        _import_from_nowhere_in(beside)
        return Resumed(
            run=run,
            target=Target(path=folder / run.place, name=name, within=folder),
            home=home,
            uses="kept",
            beside=beside,
            differs=tuple(differing_files(beside, packed)) if beside else (),
        )
    if code == "kept":
        raise UsageError(
            f"run {run.id} kept no code: it executed nothing", hint="leave --code away"
        )
    if own is None:
        raise NotFound(
            f"the target {target!r} of run {run.id} is not there",
            hint="go on where its project is, or with the code that it kept: --code kept",
        )
    differs = differing_files(own.root, packed_code(workshop, run.code)) if run.code else ()
    return Resumed(run=run, target=own, home=home, uses="now", differs=tuple(differs))


def _own_target(target: str) -> Target | None:
    try:
        return parse_target(target)
    except RaypipeError:
        return None


def _import_from_nowhere_in(root: Path | None) -> None:
    """Forget where the project's modules are today: those of the copy are meant."""
    if root is None:
        return
    kept = {PACKAGE.parent, *map(Path, (sys.prefix, sys.base_prefix))}

    def is_of_project(entry: str) -> bool:
        folder = Path(entry or ".").absolute()
        return folder.is_relative_to(root) and not any(
            folder == place or folder.is_relative_to(place / "lib") for place in kept
        )

    sys.path[:] = [entry for entry in sys.path if not is_of_project(entry)]


def what_differs(
    resumed: Resumed, graph: Graph, planned: tuple[Planned, ...], known: Mapping[str, str | None]
) -> CodeDiffers:
    """Return what the code of now makes of a run: the steps that differ, and what follows them.

    `known` is the key that each step of the run had.
    """
    differ = {
        item.node.name
        for item in planned
        if item.action == "execute" and known.get(item.node.name) not in {None, item.key}
    }
    follow: set[str] = set()
    for name, node in graph.nodes.items():
        if node.upstream & (differ | follow):
            follow.add(name)
    return CodeDiffers(
        resumes=resumed.run.id,
        uses=resumed.uses,
        files=resumed.differs,
        steps=tuple(
            item.state
            for item in planned
            if item.node.name in differ or (item.node.name in follow and item.action != "hit")
        ),
    )


# --- parameters ---------------------------------------------------------------------------------


def write_given(values: Mapping[str, Any], workshop: Workshop) -> Json:
    """Return parameters as `read_given` takes them; what only a file can say is left out."""
    given: dict[str, Json] = {}
    for name, value in values.items():
        if isinstance(value, Path):
            given[name] = {"path": str(value)}
            continue
        try:
            encoded = workshop.codec.encode(value)
        except (TypeError, NotFound):  # the plan says so
            continue
        if not encoded.blobs:
            given[name] = {"value": json.loads(encoded.manifest)}
    return given


def read_given(run: RunRecord, workshop: Workshop) -> dict[str, Any]:
    """Return the parameters of a run; StoreError names one whose class is another now."""
    return {name: _read_given(name, said, workshop) for name, said in (run.given or {}).items()}


def _read_given(name: str, said: Mapping[str, Json], workshop: Workshop) -> Any:
    if "path" in said:
        return Path(said["path"])
    try:
        return workshop.codec.decode(json.dumps(said["value"]).encode(), workshop.artifacts)
    except StoreError as error:
        raise StoreError(
            f"the run's parameter {name!r} cannot be read back: {error}",
            hint="go on with the code that was kept, or start a run of its own",
        ) from error
