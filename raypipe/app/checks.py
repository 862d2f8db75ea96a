"""deepchecks as a person and a cycle ask for it: its environment, its checks, a dataset checked."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from raypipe.app.checking import roles_of, sample_and_check
from raypipe.app.prepare import Prepared
from raypipe.app.request import RunRequest
from raypipe.app.run import run_prepared
from raypipe.app.with_settings import settings_in, workshop_with
from raypipe.config.cycle import CycleConfig
from raypipe.config.deepchecks import DeepchecksConfig
from raypipe.config.load import load
from raypipe.engine.drive import Listener
from raypipe.engine.graph import build
from raypipe.engine.records import Json
from raypipe.errors import NotFound, UsageError
from raypipe.stages.data import dataset_at
from raypipe.stages.validation.deepchecks import environment
from raypipe.stages.validation.deepchecks.catalogue import CATALOGUE, SUITES, severity_of
from raypipe.store.faults import disk_faults
from raypipe.values.checked import Checked, Roles
from raypipe.values.uri import parse_uri

RUN = "check_data"
"""Name of the run's one output."""


def install(
    *,
    folder: Path | None = None,
    config: Path | None = None,
    python: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Json:
    """Make the environment, if it is not there yet."""
    named = str(folder) if folder is not None else None
    given = named or (load(config).validation.deepchecks.environment if config else None)
    place = folder.absolute() if folder is not None else environment.environment_folder(given)
    made = environment.install(place, python=python, say=say)
    note = "it was made" if made else "it was there already"
    if folder is not None and place != environment.environment_folder():
        note += f"; name it to runs: validation.deepchecks.environment, or {environment.VARIABLE}"
    return {"environment": str(place), "note": note}


def listed(config: Path | None = None) -> Json:
    """Return each check: its suite, its condition, whether it is on, and what a failure does."""
    settings = load(config).validation.deepchecks if config else DeepchecksConfig()
    conditions: dict[Any, Any] = dict(settings.conditions)
    found = environment.find_environment(settings.environment)
    return {
        "use": settings.use,
        "environment": None if isinstance(found, str) else found.folder,
        "missing": f"{found} {environment.HINT}" if isinstance(found, str) else "",
        "checks": [
            {
                "check": known.name,
                "suite": known.suite,
                "condition": _in_words(conditions.get(known.name)) or known.usual,
                "can": list(known.conditions),
                "severity": severity_of(known.name, settings),
            }
            for known in CATALOGUE
        ],
    }


def _in_words(conditions: dict[str, dict[str, Any]] | None) -> str:
    parts = []
    for name, given in (conditions or {}).items():
        arguments = ", ".join(f"{key}={value!r}" for key, value in given.items())
        parts.append(f"{name}({arguments})")
    return "; ".join(parts)


def run(
    dataset: str,
    *,
    config: Path | None = None,
    suites: Sequence[str] = (),
    html: Path | None = None,
    home: Path | None = None,
    by: str | None = None,
    listen: Listener = lambda event: None,
) -> Json:
    """Check a sample of a dataset's rows; the result is kept, and found again by a cycle.

    Without settings nothing is known of label and splits: all rows are sampled, and only what
    looks at one set of rows is checked.
    """
    cycle = settings_in(config)
    chosen = _suites(suites, cycle)
    settings = cycle.validation.deepchecks if cycle else DeepchecksConfig()
    found = environment.find_environment(settings.environment)
    if isinstance(found, str):
        raise NotFound(f"{found[:1].upper()}{found[1:]}".rstrip("."), hint=environment.HINT)
    workshop = workshop_with(config, cycle, home, by=by)
    uri = parse_uri(dataset)
    rows = dataset_at(dataset, workshop.versions(uri))
    data = cycle.data if cycle else None
    roles = roles_of(cycle.data, cycle.training.task) if cycle else Roles()
    graph = build(
        lambda: {RUN: sample_and_check(rows, data, roles, settings, found, chosen)},
        f"{cycle.name if cycle else uri.repo}.checks",
        {},
    )
    prepared = Prepared(
        graph=graph,
        workshop=workshop,
        commits={dataset: rows.commit},
        target=dataset,
        of_project=False,
    )
    outcome = run_prepared(prepared, RunRequest(), listen)
    if outcome.error is not None:
        raise outcome.error
    return _said(outcome.values[RUN], html)


def _suites(given: Sequence[str], cycle: CycleConfig | None) -> tuple[str, ...]:
    if wrong := [name for name in given if name not in SUITES]:
        raise UsageError(f"there is no suite {wrong[0]!r}", hint=f"There are {', '.join(SUITES)}.")
    if cycle is None and SUITES[1] in given:
        raise UsageError(
            f"{SUITES[1]} compares splits, and nothing says what these are",
            hint="Give the settings that do: --config FILE",
        )
    asked = tuple(name for name in SUITES if not given or name in given)
    return asked if cycle is not None else SUITES[:1]


def _said(found: Checked, html: Path | None) -> Json:
    page = found.page
    if html is not None and page is not None:
        with disk_faults(f"{str(html)!r} cannot be written"):
            shutil.copyfile(page, html)
        page = html
    return {
        "deepchecks": found.version,
        "rows": found.rows,
        "unfinished": found.unfinished,
        "checks": [check.to_json() for check in found.checks],
        "left_out": found.left_out,
        "html": str(page) if page is not None else None,
    }
