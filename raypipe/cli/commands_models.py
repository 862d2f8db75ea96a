"""Commands about model versions: what there are, where they come from, what they answer."""

from pathlib import Path
from typing import Annotated

import typer

from raypipe.cli import options
from raypipe.cli.face import show

ModelName = Annotated[
    str, typer.Argument(metavar="MODEL[@VERSION]", help="Without a version: the champion.")
]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    of_models = typer.Typer(
        help="Models and their versions.", no_args_is_help=True, rich_markup_mode=None
    )
    of_models.command("list")(list_models)
    of_models.command("show")(show_model)
    app.add_typer(of_models, name="models")
    app.command()(score)
    app.command()(lineage)


def list_models(home: options.Home = None, as_json: options.AsJson = False) -> None:
    """List models, their versions and aliases."""
    from raypipe.app import models
    from raypipe.cli import render_models

    show("models", models.list_models(home), as_json=as_json, text=render_models.models)


def show_model(
    model: ModelName, home: options.Home = None, as_json: options.AsJson = False
) -> None:
    """Show one version. Changelog, metrics, signature, lineage."""
    from raypipe.app import models
    from raypipe.cli import render

    show("model", models.show_model(model, home), as_json=as_json, text=render.lines)


def score(
    model: ModelName,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Rows: Parquet, CSV or JSON lines; or a folder of images."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File for all rows and predictions: .parquet or .csv."),
    ] = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Answer for the rows of a file or the images of a folder, without a server."""
    from raypipe.app import models
    from raypipe.cli import render

    show("score", models.score(model, file, out, home), as_json=as_json, text=render.lines)


def lineage(model: ModelName, home: options.Home = None, as_json: options.AsJson = False) -> None:
    """Show what a version was made of. Run, commits, code, settings, review."""
    from raypipe.app import inspect
    from raypipe.cli import render_models

    show("lineage", inspect.lineage(model, home), as_json=as_json, text=render_models.lineage)
