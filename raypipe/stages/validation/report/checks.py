"""What deepchecks came to, as lines of a page."""

from raypipe.stages.validation.report.report import CheckLine, Checks
from raypipe.values.checked import Check, Checked


def checks_of(checked: Checked) -> Checks:
    """Return each check that was asked for: what failed first, what did not run last."""
    rows = ", ".join(f"{count:,} {split} rows" for split, count in checked.rows.items())
    by = f"deepchecks {checked.version}" if checked.version else "deepchecks"
    lines = sorted(map(_line, checked.checks), key=lambda line: _ORDER.index(line.status))
    left_out = (
        CheckLine(name=name, status="left_out", details=why)
        for name, why in checked.left_out.items()
    )
    return Checks(
        lines=(*lines, *left_out),
        said=f"By {by}, on a sample of {rows}.",
        unfinished=checked.unfinished,
    )


_ORDER = ("failed", "crashed", "warning", "passed", "not_applicable", "not_run")


def _line(check: Check) -> CheckLine:
    said = [f"{one.name}: {one.status}. {one.details}".strip() for one in check.conditions]
    return CheckLine(
        name=check.name,
        status=check.status,
        details="; ".join(part for part in (check.reason, *said) if part),
    )
