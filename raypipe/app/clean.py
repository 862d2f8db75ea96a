"""What no kept run, version or review needs any more: said first, then removed."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from raypipe.app.alive import nothing_under_way
from raypipe.app.assemble import Workshop
from raypipe.app.look import workshop_of
from raypipe.app.retention import retire
from raypipe.engine.records import ArtifactStat, Json
from raypipe.errors import StoreError

SHOWN = 20
"""Most things that are listed by name."""


def clean(home: Path | None, *, dry_run: bool = True) -> Json:
    """Remove artifacts that nothing reaches, and scratch folders of steps that have their result.

    Kept is what a live result, a review's evidence or a model version reaches. StoreError while a
    run is under way. The ledger is only read, so that it works where the disk is full.
    """
    workshop = workshop_of(home, write=False)
    if not workshop.paths.home.is_dir():
        return _told([], [], dry_run=dry_run)
    rows = retire(home, dry_run=dry_run)
    if dry_run:
        return {**_clean(workshop, remove=False), "ledger": rows}
    with nothing_under_way(workshop):
        return {**_clean(workshop, remove=True), "ledger": rows}


def _clean(workshop: Workshop, *, remove: bool) -> Json:
    needed = reachable(workshop)
    unneeded = [stat for stat in workshop.artifacts.list() if stat.digest not in needed]
    folder = workshop.paths.work
    scratch = sorted(folder.iterdir()) if folder.is_dir() else []
    said = _told(unneeded, scratch, dry_run=not remove)
    if remove:
        for stat in unneeded:
            workshop.artifacts.remove(stat.digest)
        for left in scratch:
            shutil.rmtree(left, ignore_errors=True)
    return said


def _told(unneeded: Sequence[ArtifactStat], scratch: Sequence[Path], *, dry_run: bool) -> Json:
    shown = [f"artifact {stat.digest[:12]}" for stat in unneeded]
    shown += [f"scratch {folder.name[:12]}" for folder in scratch]
    return {
        "dry_run": dry_run,
        "count": len(shown),
        "bytes": sum(stat.size for stat in unneeded) + sum(map(_size, scratch)),
        "shown": shown[:SHOWN],
    }


def reachable(workshop: Workshop) -> set[str]:
    """Return the digests of all artifacts that are needed."""
    ledger = workshop.ledger
    roots = {review.evidence for review in ledger.list_reviews()}
    bundles = set()
    for model in ledger.models():
        for row in ledger.versions(model):
            roots |= {row.value, row.evaluation, row.candidate, row.compared_with or row.value}
            bundles.add(row.bundle)
    needed = ledger.live_artifacts() | roots | bundles
    for root in roots:
        needed |= _parts_of(workshop, root)
    for bundle in bundles:
        needed |= _snapshot_of(workshop, bundle)
    return needed


def _parts_of(workshop: Workshop, root: str) -> frozenset[str]:
    """Return what the manifest of a value names; nothing where it is gone."""
    try:
        return workshop.codec.blobs(workshop.artifacts.read(root))
    except StoreError:
        return frozenset()


def _snapshot_of(workshop: Workshop, bundle: str) -> set[str]:
    import json

    try:
        described = json.loads((workshop.artifacts.path(bundle) / "bundle.json").read_text())
    except (StoreError, OSError, ValueError):  # a torn bundle: `raypipe doctor --verify` says so
        return set()
    return {described["code"]} if described.get("code") else set()


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
