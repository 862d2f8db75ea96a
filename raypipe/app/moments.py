"""Times as a person gives them: so long ago, or a date."""

import re
from datetime import datetime

from raypipe.errors import UsageError

_UNITS = {"s": 1, "min": 60, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def read_since(text: str, now: float) -> float:
    """Return seconds since the epoch of `2h` (so long ago) or of a date (ISO 8601, local)."""
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)", text.strip()):
        return now - float(found[1]) * _UNITS[found[2]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r} is no time",
            hint="give how long ago (30min, 2h, 3d, 1w) or a date: 2026-01-31, 2026-01-31T08:00",
        ) from None
