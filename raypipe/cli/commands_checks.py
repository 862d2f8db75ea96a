"""Commands about deepchecks: its environment, its checks, a dataset checked."""

from pathlib import Path
from typing import Annotated, Any

import typer

from raypipe.cli import options
from raypipe.cli.face import note, show

Settings = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings that say label, split and severities."),
]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    of_checks = typer.Typer(
        help="Checks of data by the library deepchecks, in an environment of its own.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    of_checks.command("install")(install)
    of_checks.command("list")(list_checks)
    of_checks.command("run")(run)
    app.add_typer(of_checks, name="checks")


def install(
    folder: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Left out: a folder in your cache."),
    ] = None,
    config: Settings = None,
    python: Annotated[
        str | None,
        typer.Option("--python", metavar="PATH", help="A Python 3.11 or 3.12 to make it with."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Make the environment. Nothing happens if it is there."""
    from raypipe.app import checks
    from raypipe.cli import render

    done = checks.install(folder=folder, config=config, python=python, say=note)
    show("install", done, as_json=as_json, text=render.lines)


def list_checks(config: Settings = None, as_json: options.AsJson = False) -> None:
    """List the checks. Suite, condition, whether it is on."""
    from raypipe.app import checks
    from raypipe.cli import render_checks

    show("checks", checks.listed(config), as_json=as_json, text=render_checks.listed)


def run(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="local://REPO/REF or lakefs://REPO/REF.")
    ],
    config: Settings = None,
    suites: Annotated[
        list[str] | None,
        typer.Option(
            "--suite",
            metavar="NAME",
            help="data_integrity or train_test_validation; repeatable. Left out: both.",
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the page there too.")
    ] = None,
    home: options.Home = None,
    by: options.By = None,
    as_json: options.AsJson = False,
) -> None:
    """Check a sample of a dataset's rows. The result is kept while the rows stay."""
    from raypipe.app import checks
    from raypipe.cli import render_checks
    from raypipe.cli.live import listening

    with listening(as_json=as_json) as listen:
        found: Any = checks.run(
            dataset,
            config=config,
            suites=tuple(suites or ()),
            html=html,
            home=home,
            by=by,
            listen=listen,
        )
    show("checked", found, as_json=as_json, text=render_checks.found)
