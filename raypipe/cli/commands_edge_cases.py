"""Commands about sets of edge cases, which each later candidate is asked."""

from pathlib import Path
from typing import Annotated

import typer

from raypipe.cli import options
from raypipe.cli.face import show

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the set, such as night.")]
Settings = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings of the pipeline that has the set."),
]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    edge_cases = typer.Typer(
        help="Rows that each later candidate is asked.", no_args_is_help=True, rich_markup_mode=None
    )
    edge_cases.command("add")(add)
    edge_cases.command("list")(list_sets)
    edge_cases.command("show")(show_set)
    edge_cases.command("remove")(remove)
    app.add_typer(edge_cases, name="edge-cases")


def add(
    name: Name,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Rows as CSV, JSON lines, Parquet or Arrow: the columns that the recipe reads, "
            "the label, and perhaps a note.",
        ),
    ],
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="Settings that say label and recipe.")
    ],
    by: options.By = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Add a file's rows to the set NAME, which is made if it is new."""
    from raypipe.app.edge_cases import add_edge_cases
    from raypipe.cli import render_edge_cases

    kept = add_edge_cases(name, file, config=config, by=by, home=home)
    show("edge_cases", kept, as_json=as_json, text=render_edge_cases.added)


def list_sets(home: options.Home = None, as_json: options.AsJson = False) -> None:
    """List the sets of all pipelines."""
    from raypipe.app.edge_cases import list_edge_cases
    from raypipe.cli import render_edge_cases

    show("edge_cases", list_edge_cases(home), as_json=as_json, text=render_edge_cases.sets)


def show_set(
    name: Name,
    config: Settings = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the rows of a set."""
    from raypipe.app.edge_cases import show_edge_cases
    from raypipe.cli import render_edge_cases

    found = show_edge_cases(name, config=config, home=home)
    show("edge_cases", found, as_json=as_json, text=render_edge_cases.one_set)


def remove(
    name: Name,
    config: Settings = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Remove a set: later candidates are not asked it any more."""
    from raypipe.app.edge_cases import remove_edge_cases
    from raypipe.cli import render_edge_cases

    gone = remove_edge_cases(name, config=config, home=home)
    show("edge_cases", gone, as_json=as_json, text=render_edge_cases.removed)
