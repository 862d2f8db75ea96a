"""The page of what checks found: our words escaped, and their drawings shut in a sandbox.

deepchecks writes values of the data into its HTML as they are, so that a category can be a script.
Its page lies in a frame of an origin of its own, which may run scripts (they draw), and may reach
nothing: neither this page, nor the network.
"""

from dataclasses import replace
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from raypipe.values.checked import Checked


def write_page(checked: Checked, folder: Path) -> Checked:
    """Write the page beside what deepchecks drew, if it did, and name it in the result."""
    drawn = folder / "drawn.html"
    page = folder / "checks.html"
    inner = drawn.read_text(encoding="utf-8") if drawn.exists() else ""
    page.write_text(render(checked, inner), encoding="utf-8")
    return replace(checked, page=page)


def render(checked: Checked, drawn: str) -> str:
    """Return the page; everything that comes from data is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        trim_blocks=True,
    )
    return environment.get_template("checks.html").render(c=checked, drawn=drawn)
