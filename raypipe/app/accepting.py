"""Expected changes that a person names on the command line: recorded with who and why."""

from collections.abc import Sequence
from getpass import getuser

from pydantic import ValidationError

from raypipe.config.cycle import CycleConfig
from raypipe.config.validation import ExpectedConfig
from raypipe.errors import UsageError


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
    validation = config.validation.model_copy(
        update={"accept": (*config.validation.accept, *expected)}
    )
    return config.model_copy(update={"validation": validation})
