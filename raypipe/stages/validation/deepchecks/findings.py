"""From what checks came to, to what validation says of the rows."""

from collections.abc import Iterator
from dataclasses import replace

from raypipe.config.deepchecks import DeepchecksConfig
from raypipe.config.validation import ValidationConfig
from raypipe.stages.validation.deepchecks.catalogue import severity_of
from raypipe.values.checked import Check, Checked
from raypipe.values.validation import Accepted, Anomaly, Validation

KIND = "deepchecks"
LETTERS = 300


def joined(
    validation: Validation, checked: Checked | None, missing: str, settings: ValidationConfig
) -> Validation:
    """Return what validation found together with what checks did, those that stop first.

    `missing` says why there are no checks, though the settings ask for them.
    """
    if checked is None:
        return replace(validation, unchecked=(missing,)) if missing else validation
    expected = {one.what: one for one in settings.accept}
    found = list(anomalies(checked, settings.deepchecks))
    accepted = [
        Accepted(anomaly=one, by=expected[one.name].by, why=expected[one.name].why)
        for one in found
        if one.name in expected
    ]
    left = [*validation.anomalies, *(one for one in found if one.name not in expected)]
    return replace(
        validation,
        anomalies=tuple(sorted(left, key=lambda one: one.severity != "stop")),
        accepted=(*validation.accepted, *accepted),
        unchecked=unchecked(checked),
    )


def anomalies(checked: Checked, settings: DeepchecksConfig) -> Iterator[Anomaly]:
    """Yield an anomaly for each check whose conditions the rows do not keep, or that crashed.

    A crash says nothing of the rows, and so stops only where the checks are required.
    """
    for check in checked.checks:
        severity = severity_of(check.name, settings)
        if severity != "off" and (said := _said(check)):
            crashed = check.status == "crashed"
            stops = severity == "stop" and (not crashed or settings.use == "required")
            yield Anomaly(
                column=check.name,
                kind=KIND,
                severity="stop" if stops and check.status != "warning" else "warn",
                message=f"{check.name}: {said}",
                allow=f"validation.deepchecks.severities.{check.name}: "
                + ("warn" if stops else "off"),
            )
    if checked.unfinished and settings.use == "required":
        yield Anomaly(
            column="",
            kind=KIND,
            severity="stop",
            message=_sentence(checked.unfinished),
            allow="validation.deepchecks.use: auto",
        )


def _said(check: Check) -> str:
    if check.status == "crashed":
        return f"the check crashed: {_sentence(check.reason)}"
    return "; ".join(
        f"not so: {one.name}" + (f" ({one.details[:LETTERS]})" if one.details else "")
        for one in check.wrong
    ) + ("." if check.wrong else "")


def unchecked(checked: Checked) -> tuple[str, ...]:
    """Return what was not looked at, in sentences."""
    said = [_sentence(checked.unfinished)] if checked.unfinished else []
    for status, words in (("crashed", "crashed"), ("not_run", "did not run")):
        if names := [check.name for check in checked.checks if check.status == status]:
            said.append(f"Of deepchecks {words}: {', '.join(names)}.")
    return tuple(said)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
