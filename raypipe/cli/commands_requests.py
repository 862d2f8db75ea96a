"""Commands about the request log: is all of it there, and what was asked and answered."""

from pathlib import Path
from typing import Annotated

import typer

from raypipe.cli import options
from raypipe.cli.face import show


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    of_requests = typer.Typer(
        help="What served models were asked.", no_args_is_help=True, rich_markup_mode=None
    )
    for command in (audit, export, seal):
        of_requests.command()(command)
    app.add_typer(of_requests, name="requests")


def audit(
    ids: Annotated[
        Path | None,
        typer.Option(
            "--ids",
            metavar="FILE",
            help="Acknowledged request ids: a line each, or a table with a column request_id.",
        ),
    ] = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> int:
    """Read the whole request log. Exits with 7 if anything acknowledged is missing or damaged."""
    from raypipe.app import requests
    from raypipe.cli import render_requests

    found = requests.audit(home, ids)
    show("audit", found, as_json=as_json, text=render_requests.audit)
    return 0 if found["whole"] else 7


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL[@VERSION]")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="A .parquet or .csv file.")],
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="From then on (ISO 8601, UTC).")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Before then (ISO 8601, UTC).")
    ] = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Write what a model was asked and answered, one row for each row."""
    from raypipe.app import requests
    from raypipe.cli import render

    done = requests.export(model, out, home, since=since, until=until)
    show("export", done, as_json=as_json, text=render.lines)


def seal(home: options.Home = None, as_json: options.AsJson = False) -> None:
    """Turn ended segments of the log into Parquet. A gateway that is up does it by itself."""
    from raypipe.app import requests
    from raypipe.cli import render

    show("seal", requests.seal_log(home), as_json=as_json, text=render.lines)
