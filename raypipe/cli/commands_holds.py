"""Commands about what a person keeps from being removed."""

from typing import Annotated

import typer

from raypipe.cli import options
from raypipe.cli.face import show

What = Annotated[
    str, typer.Argument(metavar="WHAT", help="A run's id, an artifact's digest, or MODEL@VERSION.")
]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    holds = typer.Typer(
        help="What `raypipe clean` must not remove.", no_args_is_help=True, rich_markup_mode=None
    )
    holds.command("add")(add)
    holds.command("list")(list_holds)
    holds.command("remove")(remove)
    app.add_typer(holds, name="hold")


def add(
    what: What,
    note: options.Note = "",
    by: options.By = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Keep a run with all that it made, an artifact, or a version, until it is let go."""
    from raypipe.app.hold import add_hold
    from raypipe.cli import render_home

    held = add_hold(what, note=note, by=by, home=home)
    show("hold", held, as_json=as_json, text=render_home.held)


def list_holds(home: options.Home = None, as_json: options.AsJson = False) -> None:
    """List what is kept, newest first."""
    from raypipe.app import hold
    from raypipe.cli import render_home

    show("holds", hold.list_holds(home), as_json=as_json, text=render_home.holds)


def remove(what: What, home: options.Home = None, as_json: options.AsJson = False) -> None:
    """Let go of what was kept."""
    from raypipe.app.hold import remove_hold
    from raypipe.cli import render_home

    show("hold", remove_hold(what, home=home), as_json=as_json, text=render_home.let_go)
