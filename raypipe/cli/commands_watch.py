"""The command that stays: a gate for lakeFS, and an eye on branches."""

from pathlib import Path
from typing import Annotated, Any

import typer

from raypipe.cli import options
from raypipe.cli.face import dump, note, plain, show, write


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(watch)


def watch(
    configs: Annotated[
        list[Path] | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Run these settings once for each new commit of their dataset; repeatable.",
        ),
    ] = None,
    listen: Annotated[
        str,
        typer.Option(
            "--listen", metavar="HOST:PORT", help="Where lakeFS asks; port 0: a free one."
        ),
    ] = "127.0.0.1:8422",
    every: Annotated[
        float,
        typer.Option("--every", min=0.1, max=3600, help="Seconds between two looks at branches."),
    ] = 10.0,
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            "--tls-cert", metavar="FILE", help="Answer by TLS, with this certificate (PEM)."
        ),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option("--tls-key", metavar="FILE", help="Its key, where that is in another file."),
    ] = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Answer lakeFS for protected branches, and run on new commits, until Ctrl-C."""
    import logging

    from raypipe.app.watch import WatchRequest
    from raypipe.app.watch import watch as watch_on

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("raypipe.watch").setLevel(logging.INFO)

    def say(told: Any) -> None:
        if as_json:
            write(dump(plain(told)))
        else:
            note(_in_words(told))

    request = WatchRequest(
        configs=tuple(configs or ()),
        listen=listen,
        every=every,
        tls_cert=tls_cert,
        tls_key=tls_key,
        home=home,
    )
    watch_on(request, say)
    show("watch", {"stopped": True}, as_json=as_json, text=lambda _: "The watch has ended.")


def _in_words(told: Any) -> str:
    match told["event"]:
        case "ready":
            watched = ", ".join(told["watches"]) or "no branch yet"
            return f"The gate answers at {told['gate']}; watching {watched}."
        case "run_begun":
            return f"{told['dataset']} is at {told['commit'][:12]}: running {told['config']}"
        case "run_ended":
            asks = "" if told["exit"] else "; `raypipe review list` says if it waits for a person"
            return f"{told['config']} ended with exit code {told['exit']}{asks}"
        case _:
            return f"{told['dataset']}: undid {told['commit'][:12]}, for {told['why']}"
