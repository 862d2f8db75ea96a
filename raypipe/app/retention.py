"""What of the ledger has had its time, by the settings of the home's pipelines."""

import shutil
import time
from collections.abc import Iterable, Sequence
from math import inf
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from raypipe.app.assemble import Workshop
from raypipe.app.look import workshop_of
from raypipe.config.store import KeepConfig
from raypipe.engine.records import Json
from raypipe.errors import StoreError
from raypipe.store.retention import Keep, Old

DAY = 86_400.0


def retire(home: Path | None, *, dry_run: bool) -> Json:
    """Remove rows of the ledger that `store.keep` keeps no longer, and their runs' folders.

    It is safe beside runs that are under way. Where the disk is too full to remove rows, that is
    told, and is no error: artifacts can be removed all the same.
    """
    workshop = workshop_of(home, write=False)
    old = workshop.ledger.find_old(keep_of(asked_for(workshop), time.time()))
    if dry_run or not old.count:
        return _told(old)
    try:
        writable = workshop_of(home, write=True)
        writable.ledger.remove_old(old)
    except StoreError as error:
        return {**_told(Old.nothing()), "kept": str(error)}
    for run in old.runs:
        shutil.rmtree(writable.paths.runs / run, ignore_errors=True)
    return _told(old)


def keep_of(keep: KeepConfig, now: float) -> Keep:
    """Return settings as points in time."""
    return Keep(
        runs=_before(keep.runs, now),
        newest=keep.newest,
        results=_before(keep.results, now),
        superseded=_before(keep.superseded, now),
        metrics=_before(keep.metrics, now),
        expired=now,
        given_up=_before(keep.given_up, now),
        reviews=_before(keep.reviews, now),
    )


def _before(days: float | None, now: float) -> float:
    return -inf if days is None else now - DAY * days


def asked_for(workshop: Workshop) -> KeepConfig:
    """Return the longest times that the newest settings of any pipeline ask for."""
    return longest([_named(run.settings or {}) for run in workshop.ledger.newest_runs(1)])


def _named(settings: Json) -> KeepConfig:
    """Return what settings that a run was started with say; an earlier raypipe may have read them.

    What is no setting any more says nothing; where one cannot be read, all is kept for ever.
    """
    told = settings.get("store", {}).get("keep", {})
    known = {name: value for name, value in told.items() if name in KeepConfig.model_fields}
    try:
        return KeepConfig.model_validate(known)
    except ValidationError:
        return KeepConfig(**dict.fromkeys(KeepConfig.model_fields.keys() - {"newest"}))


def asked_of_log(workshop: Workshop) -> float | None:
    """Return the most days for the request log that any settings ask for; None: for ever.

    A script has no settings, and nothing of its own in the log.
    """
    asked = [run.settings for run in workshop.ledger.newest_runs(1) if run.settings]
    return longest([_named(one) for one in asked]).requests


def longest(asked: Sequence[KeepConfig]) -> KeepConfig:
    """Return what keeps all that any of these keeps."""
    if not asked:
        return KeepConfig()
    return KeepConfig(
        **{name: _most(getattr(one, name) for one in asked) for name in KeepConfig.model_fields}
    )


def _most(values: Iterable[Any]) -> Any:
    known = list(values)
    return None if None in known else max(known)


def _told(old: Old) -> Json:
    return {
        "runs": len(old.runs),
        "results": len(old.superseded),
        "unused": len(old.unused),
        "curves": len(old.curves),
        "effects": len(old.effects),
        "reviews": len(old.reviews),
        "withdrawn": len(old.withdrawn),
    }
