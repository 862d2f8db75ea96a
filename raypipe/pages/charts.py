"""What charts by Altair have in common: colours of the page, and SVG text without script."""

from typing import Any

import altair as alt
import vl_convert

INK = "var(--now)"
SECOND = "var(--before)"
GREY = "var(--faint)"
LINES = "var(--line)"


def data(rows: list[dict[str, Any]]) -> Any:
    """Return rows as what a chart draws."""
    return alt.Data(values=rows)


def svg(chart: Any) -> str:
    """Draw a chart; the page's style sheet gives its colours, light or dark."""
    described = chart.configure(background="transparent", font="system-ui, sans-serif")
    described = described.configure_axis(
        labelColor=GREY, titleColor=GREY, gridColor=LINES, tickColor=LINES, domainColor=GREY
    )
    described = described.configure_legend(labelColor=GREY, titleColor=GREY)
    described = described.configure_view(stroke=None)
    return str(vl_convert.vegalite_to_svg(described.to_dict()))
