"""The page of what checks found: our words escaped, and their drawings shut in a sandbox.

deepchecks writes values of the data into its HTML as they are, so that a category can be a script.
Its page lies in a frame of an origin of its own, which may run scripts (they draw), and may reach
nothing: neither this page, nor the network.
"""

from dataclasses import replace
from pathlib import Path

from markupsafe import escape

from raypipe.pages.page import templates, write
from raypipe.values.checked import Checked


def write_page(checked: Checked, folder: Path) -> Checked:
    """Write the page beside what deepchecks drew, if it did, and name it in the result."""
    drawn = folder / "drawn.html"
    inner = drawn.read_text(encoding="utf-8") if drawn.exists() else ""
    return replace(checked, page=write(render(checked, inner), folder / "checks.html"))


def render(checked: Checked, drawn: str) -> str:
    """Return the page; everything that comes from data is made visible and escaped."""
    template = templates(Path(__file__).with_name("templates")).get_template("checks.html")
    return template.render(c=checked, drawn=escape(drawn))
