"""Figures in sentences: shares, numbers and examples, as a person would write them."""

import math
from collections.abc import Sequence

SHOWN = 5
"""Examples that an anomaly gives."""


def percent(share: float) -> str:
    """Write a share: 12 %, 3.4 %, 0.05 %, below 0.01 %; 100 % only if it is all."""
    if 0 < share < 0.0001:
        return "less than 0.01 %"
    if 0.995 <= share < 1:
        return "more than 99 %"
    hundred = 100 * share
    digits = 0 if hundred >= 10 else 1 if hundred >= 1 else 2
    text = f"{hundred:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def number(value: float) -> str:
    """Write a number in six digits."""
    return f"{value:.6g}"


def some(examples: Sequence[str], total: int) -> str:
    """Write a few examples, each short and visible, and how many more there are."""
    shown = [visible(text) for text in examples]
    return ", ".join(shown) + (f" and {total - len(shown):,} more" if total > len(shown) else "")


def visible(text: str) -> str:
    """Write one value: shortened, and in quotes with escapes where it could not be read."""
    short = text if len(text) <= 30 else text[:29] + "…"
    return short if short.strip() and short.isprintable() else repr(short)


def in_schema(what: str) -> str:
    """Say that something is allowed by the schema file."""
    return f"{what} in the schema file"


def rounded_up(share: float) -> float:
    """Round up to hundredths, so that what was found is allowed by it."""
    return math.ceil(round(share * 100, 6)) / 100
