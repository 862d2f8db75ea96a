"""Bars as SVG: a histogram, and a share.

They are drawn here and not by Altair, since a page of a dataset has some for each column: a chart
by Altair takes 40 ms and 12 kB after a second to start, one of these 0.1 ms and 1 kB. Words and
figures stand beside them, as text of the page.
"""

from collections.abc import Sequence

from markupsafe import Markup

_WIDTH, _HEIGHT = 320.0, 100.0
"""Of a histogram, in units of its own: it is as wide as there is room."""
_FULL = 100.0
"""Width of a share of 1."""


def histogram(now: Sequence[float], before: Sequence[float] | None, label: str) -> Markup:
    """Draw the shares of bins: those of now as bars, those before as a line."""
    tallest = max([*now, *(before or ())], default=0.0) or 1.0
    parts = [_bars(now, tallest)]
    if before is not None:
        parts.append(Markup('<path class="line before" d="{}"/>').format(_steps(before, tallest)))
    return Markup(
        '<svg class="histogram" viewBox="0 0 {:g} {:g}" preserveAspectRatio="none" role="img" '
        'aria-label="{}">{}</svg>'
    ).format(_WIDTH, _HEIGHT + 1, label, Markup("").join(parts))


def share(now: float, before: float | None) -> Markup:
    """Draw a share of now above the one before; the figures stand beside it."""
    rects = [_rect("now", now, 0, 10 if before is None else 6)]
    if before is not None:
        rects.append(_rect("before", before, 7, 3))
    return Markup(
        '<svg class="share" viewBox="0 0 {:g} 10" preserveAspectRatio="none" aria-hidden="true">'
        "{}</svg>"
    ).format(_FULL, Markup("").join(rects))


def _rect(name: str, part: float, top: float, height: float) -> Markup:
    width = _FULL * min(1.0, max(0.0, part))
    return Markup('<rect class="{}" y="{:g}" width="{:.2f}" height="{:g}"/>').format(
        name, top, width, height
    )


def _bars(shares: Sequence[float], tallest: float) -> Markup:
    wide = _WIDTH / max(1, len(shares))
    gap = min(1.0, wide / 6)
    path = [
        f"M{place * wide + gap / 2:.1f} {_HEIGHT:g}v{-_high(one, tallest):.1f}"
        f"h{wide - gap:.1f}V{_HEIGHT:g}z"
        for place, one in enumerate(shares)
        if one > 0
    ]
    return Markup('<path class="now" d="{}"/>').format("".join(path))


def _steps(shares: Sequence[float], tallest: float) -> str:
    wide = _WIDTH / max(1, len(shares))
    steps = [f"V{_HEIGHT - _high(one, tallest):.1f}h{wide:.2f}" for one in shares]
    return f"M0 {_HEIGHT:g}{''.join(steps)}V{_HEIGHT:g}"


def _high(part: float, tallest: float) -> float:
    """Return a height; what is there at all is seen."""
    return max(1.0, _HEIGHT * part / tallest) if part > 0 else 0.0
