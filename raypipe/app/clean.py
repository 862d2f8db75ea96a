"""What no kept run, version, review or hold needs any more: said first, then removed."""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from raypipe.app.assemble import Workshop
from raypipe.app.home import check_home, is_home
from raypipe.app.imports import left_behind, remove
from raypipe.app.look import workshop_of
from raypipe.app.retention import asked_for, retire
from raypipe.engine.records import Json
from raypipe.errors import StoreError
from raypipe.fault_points import fault_point
from raypipe.store.paths import HomePaths
from raypipe.store.scratch import noted as noted_scratch
from raypipe.store.segments.places import SEALED
from raypipe.store.source_index import drop_gone, gone_from
from raypipe.store.uses import Uses
from raypipe.store.versions import repositories

SHOWN = 20
"""Most things that are listed by name."""
KEYED, RUN = re.compile(r"[0-9a-f]{32}"), re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")
"""How raypipe names folders: what has another name is a person's, and stays."""
ASIDE = f".*-{'[0-9a-f]' * 12}"
"""How a file is named that is written whole before it is moved to its place."""
ASIDE_LIFETIME = 86_400.0
"""Seconds after which nobody is writing a file any more that is in its place in a moment."""
AT_ONCE = 50
"""Things that are removed in one act; runs that are under way wait so long."""


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One thing that nothing recorded needs."""

    name: str
    """What it is, for people."""
    noted: str
    """The name under which a run that is under way notes that it needs it."""
    size: int
    remove: Callable[[], object]
    written: bool = False
    """A writer left it, or writes it still: it stays while any run is under way."""
    elsewhere: bool = False
    """A server has it, which may not answer: then it stays, and all else goes."""


def clean(home: Path | None, *, dry_run: bool = True, runs: int | None = None) -> Json:
    """Remove what has had its time in the ledger, then all that nothing recorded reaches.

    Kept is what live results, the newest runs of each pipeline (`runs` of them, else as settings
    say), reviews, model versions and holds reach, and what runs that are under way have noted that
    they need. Where the disk is full the ledger is only read.
    """
    workshop = workshop_of(home, write=False)
    if not workshop.paths.home.is_dir():
        return _told([], {}, 0, dry_run=dry_run)
    check_home(workshop.paths.home)
    if not is_home(workshop.paths.home):  # a note in it would be taken for somebody's own
        return _told([], {}, 0, dry_run=dry_run)
    uses = Uses(workshop.paths.uses)
    newest = asked_for(workshop).newest if runs is None else runs
    if dry_run:
        rows = retire(home, dry_run=True)
        unneeded = _unneeded(workshop, uses, uses.gone(), newest)
        modules = gone_from(workshop.paths.index)
        asked = _requests(workshop, dry_run=True)
        return {**_told(unneeded, rows, modules, dry_run=True), "requests": asked}
    with uses.cleaning():
        rows = retire(home, dry_run=False)
        gone = uses.gone()  # before the ledger is read: what they recorded is in it by now
        removed, left = _remove(_unneeded(workshop, uses, gone, newest), uses, gone)
        uses.forget(gone)
        asked = _requests(workshop, dry_run=False)
    modules = 0
    with suppress(StoreError):  # the disk may be full: what was removed is told all the same
        modules = drop_gone(workshop.paths.index)
    told = _told(removed, rows, modules, dry_run=False)
    return {**told, "requests": asked, **({"left": left} if left else {})}


def _requests(workshop: Workshop, *, dry_run: bool) -> Json:
    if not workshop.paths.requests.is_dir():  # nothing imports Arrow for it
        return {"segments": 0, "requests": 0, "labels": 0}
    from raypipe.app.request_retention import retire_requests

    return retire_requests(workshop, dry_run=dry_run)


def _unneeded(workshop: Workshop, uses: Uses, gone: frozenset[str], runs: int) -> list[Thing]:
    """Return what nothing recorded needs, and no run that is under way has noted by now."""
    things = [*_things(workshop, reachable(workshop, runs))]
    with uses.removing(gone) as now:
        return [one for one in things if not now.needs(one.noted, written=one.written)]


def _remove(
    things: Sequence[Thing], uses: Uses, gone: frozenset[str]
) -> tuple[list[Thing], list[str]]:
    """Remove things, a few at a time, but those that are noted by then.

    Return what was removed, and in words what a server did not let go.
    """
    removed, left = [], []
    for start in range(0, len(things), AT_ONCE):
        with uses.removing(gone) as now:
            for one in things[start : start + AT_ONCE]:
                if now.needs(one.noted, written=one.written):
                    continue
                try:
                    one.remove()
                except StoreError as error:
                    if not one.elsewhere:
                        raise
                    left.append(f"{one.name}: {error}")
                    continue
                fault_point("artifact.removed")
                removed.append(one)
    return removed, left


def _told(things: Sequence[Thing], rows: Json, modules: int, *, dry_run: bool) -> Json:
    return {
        "dry_run": dry_run,
        "count": len(things),
        "bytes": sum(one.size for one in things),
        "shown": [one.name for one in things[:SHOWN]],
        "ledger": rows,
        "modules": modules,
    }


# --- what there is ------------------------------------------------------------------------------


def _things(workshop: Workshop, needed: set[str]) -> Iterator[Thing]:
    """Yield all that nothing recorded needs."""
    artifacts = workshop.artifacts
    for digest in artifacts.list():
        if digest not in needed:
            with suppress(OSError):
                yield Thing(
                    name=f"artifact {digest[:12]}",
                    noted=digest,
                    size=artifacts.stat(digest).size,
                    remove=partial(artifacts.remove, digest),
                )
    for left in artifacts.leftovers(needed):
        yield Thing(
            name=f"left over {left.name[:12]}",
            noted=left.name,
            size=left.size,
            remove=partial(artifacts.discard, left),
            written=left.written,
        )
    for folder in _folders(workshop.paths.work, KEYED):
        yield _folder(folder, f"scratch {folder.name[:12]}", noted_scratch(folder.name))
    for folder in _folders(workshop.paths.code, KEYED):
        yield replace(_folder(folder, f"code {folder.name[:12]}", folder.name), written=True)
    for import_ in left_behind(workshop):
        yield Thing(
            name=f"branch {import_.branch} of {import_.uri}",
            noted=import_.branch,
            size=0,
            remove=partial(remove, workshop, import_),
            elsewhere=True,
        )
    yield from _left_aside(workshop.paths)
    yield from _unheld(workshop)
    known = workshop.ledger.run_ids()
    for folder in _folders(workshop.paths.runs, RUN):
        if folder.name not in known:
            yield _folder(folder, f"run {folder.name}", f"run {folder.name}")


def _left_aside(paths: HomePaths) -> Iterator[Thing]:
    """Yield files that a writer who was killed left beside the one that he was to replace."""
    young = time.time() - ASIDE_LIFETIME
    for folder, pattern in (
        (paths.home, ASIDE),
        (paths.home, f"{paths.gate_token.name}.*"),
        (paths.schemas, ASIDE),
        (paths.edge_cases, f"*/{ASIDE}"),
        (paths.index, "tmp*"),
        (paths.requests, "*.new"),
        (paths.requests / SEALED, "*.tmp"),
        (paths.serve, "*.new"),
        (paths.cache / "small", ".*"),
    ):
        for file in sorted(folder.glob(pattern)):
            with suppress(OSError):
                seen = file.stat()
                if seen.st_mtime < young:
                    remove = partial(file.unlink, missing_ok=True)
                    name = f"temporary file {folder.name}/{file.name}"
                    yield Thing(name=name, noted=name, size=seen.st_size, remove=remove)


def _unheld(workshop: Workshop) -> Iterator[Thing]:
    """Yield, of each local repository, the bytes that no commit and no branch holds."""
    from raypipe.store.versions_local import LocalVersions

    for name in repositories(workshop.paths.home):
        versions = LocalVersions(workshop.paths.versions / name)
        if (garbage := versions.unreached()).names:
            yield Thing(
                name=f"{len(garbage.names)} objects of local://{name} that no commit holds",
                noted=f"objects of {name}",
                size=garbage.size,
                remove=partial(versions.collect, garbage),
            )


def _folders(folder: Path, named: re.Pattern[str]) -> list[Path]:
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    return [entry for entry in entries if named.fullmatch(entry.name)]


def _folder(folder: Path, name: str, noted: str) -> Thing:
    remove = partial(shutil.rmtree, folder, ignore_errors=True)
    return Thing(name=name, noted=noted, size=_size(folder), remove=remove)


def _size(folder: Path) -> int:
    total = 0
    for above, _, names in os.walk(folder):  # what goes meanwhile has no size
        for name in names:
            with suppress(OSError):
                total += Path(above, name).stat().st_size
    return total


# --- what is needed -----------------------------------------------------------------------------


def reachable(workshop: Workshop, runs: int) -> set[str]:
    """Return the digests of all artifacts that something recorded needs.

    Versions are never forgotten, so that aliases, routes and gateways need nothing beside them.
    """
    ledger = workshop.ledger
    roots = {one.evidence for one in ledger.list_reviews() if one.status != "withdrawn"}
    roots |= {one.name for one in ledger.holds() if one.kind == "artifact"}
    roots |= {one.evidence for one in ledger.gate.accepted() if one.evidence}
    bundles = set()
    for model in ledger.models():
        for row in ledger.versions(model):
            roots |= {row.value, row.evaluation, row.candidate, row.compared_with or row.value}
            bundles.add(row.bundle)
    return {
        *ledger.kept_artifacts(runs),
        *ledger.kept_code(runs),
        *roots,
        *bundles,
        *_parts_of(workshop, roots),
        *_snapshots_of(workshop, bundles),
    }


def _parts_of(workshop: Workshop, roots: Iterable[str]) -> Iterator[str]:
    """Yield what the manifests of values name; nothing where one is gone, or is no manifest."""
    for root in roots:
        with suppress(StoreError):
            yield from workshop.codec.blobs(workshop.artifacts.read(root))


def _snapshots_of(workshop: Workshop, bundles: Iterable[str]) -> Iterator[str]:
    """Yield the code of bundles; a torn one has none: `raypipe doctor --verify` says so."""
    for bundle in bundles:
        with suppress(StoreError, OSError, ValueError):
            described = json.loads((workshop.artifacts.path(bundle) / "bundle.json").read_text())
            if described.get("code"):
                yield described["code"]
