"""Commands about effects outside the ledger: what was asked for, and is not carried out yet."""

from typing import Annotated, Literal

import typer

from raypipe.cli import options
from raypipe.cli.face import show

Key = Annotated[str, typer.Argument(metavar="KEY", help="An effect's key, or the start of it.")]
NOT_DELIVERED = 8
"""Exit code of `outbox deliver` where something is left."""


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    of_outbox = typer.Typer(
        help="What runs and decisions ask for outside the ledger: notices, the gateway, new data.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    of_outbox.command("list")(list_effects)
    of_outbox.command("deliver")(deliver)
    of_outbox.command("retry")(retry)
    of_outbox.command("drop")(drop)
    app.add_typer(of_outbox, name="outbox")


def list_effects(
    status: Annotated[
        Literal["waiting", "delivered", "given up", "dropped", "all"] | None,
        typer.Option("--status", help="Left out: those that wait or were given up."),
    ] = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """List what waits to be carried out, and what was given up."""
    from raypipe.app import outbox
    from raypipe.cli import render_outbox

    found = outbox.list_effects(home, status)
    show("effects", found, as_json=as_json, text=render_outbox.effects)


def deliver(
    key: Annotated[
        str | None, typer.Argument(metavar="[KEY]", help="One effect. Left out: all that wait.")
    ] = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> int:
    """Carry out what waits, due or not. Exits with 8 if something is left."""
    from raypipe.app import outbox
    from raypipe.cli import render_outbox

    found = outbox.deliver(home, key)
    show("outbox", found, as_json=as_json, text=render_outbox.delivered)
    return NOT_DELIVERED if found["left"] else 0


def retry(key: Key, home: options.Home = None, as_json: options.AsJson = False) -> None:
    """Let an effect be tried again that was given up or dropped."""
    _change(key, "retry", home, as_json)


def drop(key: Key, home: options.Home = None, as_json: options.AsJson = False) -> None:
    """Let an effect never be carried out."""
    _change(key, "drop", home, as_json)


def _change(key: str, what: Literal["retry", "drop"], home: options.Home, as_json: bool) -> None:
    from raypipe.app import outbox
    from raypipe.cli import render_outbox

    changed = outbox.change(home, key, what)
    show("effect", changed, as_json=as_json, text=render_outbox.effect)
