"""Commands about the gateway: up and down, which version answers, and asking it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from raypipe.cli import options
from raypipe.cli.face import dump, plain, show, write

NOT_UP = 8
"""Exit code of `serve status` where no gateway is up."""

Settings = Annotated[
    Path | None,
    typer.Argument(
        metavar="[SETTINGS]",
        help="A settings file; its section `serving` counts. Left out: the defaults.",
    ),
]
Host = Annotated[
    str | None, typer.Option("--host", help="Address to listen at, over the settings'.")
]
Port = Annotated[
    int | None, typer.Option("--port", min=1, max=65535, help="Port to listen at, over theirs.")
]
Replicas = Annotated[
    int | None, typer.Option("--replicas", min=1, help="Processes that answer, over theirs.")
]
Model = Annotated[str, typer.Argument(metavar="MODEL")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    of_serving = typer.Typer(
        help="The gateway that answers for all models of a home.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    of_serving.command()(run)
    of_serving.command()(start)
    of_serving.command()(status)
    of_serving.command()(stop)
    app.add_typer(of_serving, name="serve")
    app.command()(route)
    app.command()(promote)
    app.command()(rollback)
    app.command()(predict)


def run(
    settings: Settings = None,
    host: Host = None,
    port: Port = None,
    replicas: Replicas = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Have the gateway up in this terminal, until Ctrl-C."""
    from raypipe.app.supervise import ServeRequest, serve_run
    from raypipe.cli.render_serving import gateway

    request = ServeRequest(settings=settings, host=host, port=port, replicas=replicas, home=home)

    def say(up: Any) -> None:
        write(dump({"event": "ready", **plain(up)}) if as_json else gateway(plain(up)))

    serve_run(request, say)
    show("serve", {"stopped": True}, as_json=as_json, text=lambda _: "The gateway has ended.")


def start(
    settings: Settings = None,
    host: Host = None,
    port: Port = None,
    replicas: Replicas = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Start the gateway in the background, and wait until it answers."""
    from raypipe.app import serving
    from raypipe.app.supervise import ServeRequest
    from raypipe.cli.render_serving import gateway

    request = ServeRequest(settings=settings, host=host, port=port, replicas=replicas, home=home)
    show("serve", serving.start(request), as_json=as_json, text=gateway)


def status(home: options.Home = None, as_json: options.AsJson = False) -> int:
    """Show whether the gateway is up, and what it holds. Exits with 8 if it is not."""
    from raypipe.app import serving
    from raypipe.cli.render_serving import standing

    found = serving.status(home)
    show("serve", found, as_json=as_json, text=standing)
    return 0 if found["up"] else NOT_UP


def stop(home: options.Home = None, as_json: options.AsJson = False) -> None:
    """End the gateway and every process of its own, whatever state it is in."""
    from raypipe.app import serving
    from raypipe.cli.render_serving import stopped

    show("serve", serving.stop(home), as_json=as_json, text=stopped)


def route(
    model: Model,
    shares: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[VERSION=SHARE]...",
            help="Shares from 0 to 1 that sum to 1. Left out: the route is shown.",
        ),
    ] = None,
    by: options.By = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Show or set how requests for a model are divided among its versions."""
    from raypipe.app import routes
    from raypipe.cli import render_serving

    if shares:
        said = routes.set_route(model, shares, by=by, home=home)
        show("route", said, as_json=as_json, text=render_serving.routed)
    else:
        show("route", routes.show_route(model, home), as_json=as_json, text=render_serving.route)


def promote(
    version: Annotated[str, typer.Argument(metavar="MODEL@VERSION")],
    share: Annotated[
        float | None,
        typer.Option("--share", help="Only this share of the requests, from 0 to 1; no champion."),
    ] = None,
    by: options.By = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Make a version the champion. With --share it answers a part of the requests beside it."""
    from raypipe.app import routes
    from raypipe.cli.render_serving import routed

    said = routes.promote(version, share, by=by, home=home)
    show("route", said, as_json=as_json, text=routed)


def rollback(
    model: Model,
    by: options.By = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Make the champion of before the champion again."""
    from raypipe.app import routes
    from raypipe.cli.render_serving import routed

    show("route", routes.rollback(model, by=by, home=home), as_json=as_json, text=routed)


def predict(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL[@VERSION]", help="Without a version: through its route."),
    ],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Rows: Parquet, CSV or JSON lines; or a folder of images."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File for all rows and answers: .parquet or .csv."),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", help="A gateway elsewhere, such as http://127.0.0.1:8000."),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option("--unit", metavar="COLUMN", help="Rows of one value get one version."),
    ] = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Ask the gateway for the rows of a file or the images of a folder."""
    from raypipe.app.ask import predict as ask
    from raypipe.cli.render_serving import answers

    said = ask(model, file, out=out, url=url, unit=unit, home=home)
    show("predict", said, as_json=as_json, text=answers)
