"""One HTML file that needs nothing else: it fetches nothing, runs nothing, and escapes all values.

The policy in its head allows one style sheet, by its digest, and nothing else, so that what
escaping might let through could neither run, nor fetch, nor change how the page looks.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from raypipe.pages.text import visible

_OWN = Path(__file__).with_name("templates")


def render(folder: Path, template: str, **values: Any) -> str:
    """Return the page that a template of a folder makes of values; it extends `base.html`."""
    style = (_OWN / "page.css").read_text(encoding="utf-8")
    return (
        templates(folder, _OWN)
        .get_template(template)
        .render(style=Markup(style), policy=policy(style), **values)
    )


def templates(*folders: Path) -> Environment:
    """Return what renders the templates of folders: it makes visible, and escapes, all texts."""
    return Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_finalized,
    )


def policy(style: str) -> str:
    """Return the Content-Security-Policy of a page with one style sheet."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def write(page: str, file: Path) -> Path:
    """Write a page, in UTF-8 whatever the machine's locale; return the file."""
    file.write_text(page, encoding="utf-8")
    return file


def _finalized(value: Any) -> Any:
    """Make each text visible before it is escaped, so that no template can forget to."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
