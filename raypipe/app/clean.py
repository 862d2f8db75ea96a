"""What no kept run, version or review needs any more: said first, then removed."""

import shutil
from pathlib import Path

from raypipe.app.assemble import Workshop
from raypipe.app.look import workshop_of
from raypipe.engine.records import Json

SHOWN = 20
"""Most things that are listed by name."""


def clean(home: Path | None, *, dry_run: bool = True) -> Json:
    """Remove artifacts that nothing reaches, and scratch folders of steps that have their result.

    Kept is what a live result, a review's evidence or a model version reaches.
    """
    workshop = workshop_of(home, write=not dry_run)
    needed = reachable(workshop)
    unneeded = [stat for stat in workshop.artifacts.list() if stat.digest not in needed]
    scratch = _scratch(workshop)
    if not dry_run:
        for stat in unneeded:
            workshop.artifacts.remove(stat.digest)
        for folder in scratch:
            shutil.rmtree(folder, ignore_errors=True)
    shown = [f"artifact {stat.digest[:12]}" for stat in unneeded]
    shown += [f"scratch {folder.name[:12]}" for folder in scratch]
    return {
        "dry_run": dry_run,
        "count": len(shown),
        "bytes": sum(stat.size for stat in unneeded) + sum(map(_size, scratch if dry_run else [])),
        "shown": shown[:SHOWN],
    }


def reachable(workshop: Workshop) -> set[str]:
    """Return the digests of all artifacts that are needed."""
    ledger = workshop.ledger
    needed = ledger.live_artifacts()
    needed |= {review.evidence for review in ledger.list_reviews()}
    for model in ledger.models():
        for row in ledger.versions(model):
            needed |= {row.bundle, row.value, row.evaluation, row.candidate}
            needed |= _snapshot_of(workshop, row.bundle)
    return needed


def _snapshot_of(workshop: Workshop, bundle: str) -> set[str]:
    import json

    described = json.loads((workshop.artifacts.path(bundle) / "bundle.json").read_text())
    return {described["code"]} if described.get("code") else set()


def _scratch(workshop: Workshop) -> list[Path]:
    """Return scratch folders; while a run is under way they are all kept."""
    running = any(run.status == "running" for run in workshop.ledger.list_runs(limit=50))
    folder = workshop.paths.work
    return [] if running or not folder.is_dir() else sorted(folder.iterdir())


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
