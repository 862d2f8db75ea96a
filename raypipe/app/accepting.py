"""Expected changes that a person names on the command line: recorded with who and why."""

from collections.abc import Sequence
from getpass import getuser
from typing import get_args

from pydantic import ValidationError

from raypipe.app.assemble import Workshop
from raypipe.config.cycle import CycleConfig
from raypipe.config.deepchecks import CheckName
from raypipe.config.validation import AnomalyKind, ExpectedConfig
from raypipe.engine.plan import Planner
from raypipe.errors import UsageError
from raypipe.store.versions import did_you_mean
from raypipe.values.validation import Validation

DEEPCHECKS = "deepchecks"
"""The kind of what deepchecks' checks find: its column is the check's name."""
KINDS = (*get_args(AnomalyKind), DEEPCHECKS)


def accepting(
    config: CycleConfig, names: Sequence[str], *, by: str | None, why: str | None
) -> CycleConfig:
    """Return settings that expect the named changes too; they are kept with the run."""
    if not names:
        return config
    if not why:
        raise UsageError(
            f"--accept {names[0]} does not say why", hint="Add --why 'the sensor was replaced'."
        )
    try:
        expected = tuple(ExpectedConfig(what=n, by=by or getuser(), why=why) for n in names)
    except ValidationError as error:
        named = error.errors()[0]["input"]
        raise UsageError(
            f"--accept {named!r} names no change",
            hint="Write KIND:COLUMN as validation says it, such as drift:temp.",
        ) from None
    for name in names:
        _require_known(name)
    validation = config.validation.model_copy(
        update={"accept": (*config.validation.accept, *expected)}
    )
    return config.model_copy(update={"validation": validation})


def _require_known(name: str) -> None:
    """Raise UsageError unless there is such a kind of anomaly, or such a check of deepchecks."""
    kind, _, column = name.partition(":")
    if kind not in KINDS:
        raise UsageError(
            f"--accept {name!r} names no kind of anomaly{did_you_mean(kind, KINDS)}",
            hint=f"Kinds are {', '.join(KINDS)}.",
        )
    checks = get_args(CheckName)
    if kind == DEEPCHECKS and column and column not in checks:
        raise UsageError(
            f"--accept {name!r} names no check of deepchecks{did_you_mean(column, checks)}",
            hint="`raypipe checks list` shows them.",
        )


def as_recorded(config: CycleConfig, names: Sequence[str]) -> dict[str, str]:
    """Return what is said of a run or a commit for which changes were expected by name."""
    known = {one.what: one for one in config.validation.accept}
    return {f"accept {name}": f"{known[name].by}: {known[name].why}" for name in names}


def not_found(workshop: Workshop, planner: Planner, names: Sequence[str]) -> tuple[str, ...]:
    """Say of each named change that validation did not find it, and what it did find.

    A slip in a column's name is told so, whether the run stops or not.
    """
    manifest = planner.known.manifests.get("validate")
    if manifest is None or not names:
        return ()
    found: Validation = workshop.codec.decode(manifest, workshop.artifacts)
    there = {*(one.name for one in found.anomalies), *(one.anomaly.name for one in found.accepted)}
    nothing = "" if there else "; there is nothing to accept"
    return tuple(
        f"--accept {name} is nothing that was found{did_you_mean(name, there) or nothing}"
        for name in names
        if name not in there
    )
