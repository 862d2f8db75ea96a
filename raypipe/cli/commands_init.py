"""The command that writes settings for a file of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from raypipe.cli import options
from raypipe.cli.face import Json, show
from raypipe.values.words import amount


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(init)


def init(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…",
            help="Files of rows: CSV, JSON lines, Parquet, Arrow; or a folder of images.",
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(
            "--target", metavar="COLUMN", help="What is to be predicted. Images: label, the folder."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The settings file. Left out: NAME.yaml."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Of the model. Left out: the file's."),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="DATASET", help="Left out: local://NAME/main."),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="COLUMN", help="A column that names a row; repeatable."),
    ] = None,
    types: options.Types = None,
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = None,
    labels: options.Labels = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write the file even if there is one.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Write settings for a file of yours. They run as they are, and each choice says why."""
    from raypipe.app import init as of_init
    from raypipe.app.data import named_types

    given = {
        "types": types and named_types(types),
        "delimiter": delimiter,
        "encoding": encoding,
        "labels": labels,
    }
    done = of_init.init(
        files,
        target,
        name=name,
        to=to,
        out=out,
        key=key or (),
        given={name: value for name, value in given.items() if value is not None},
        force=force,
    )
    show("init", done, as_json=as_json, text=_told)


def _told(done: Json) -> str:
    article = "an" if done["model"][0] in "aeiou" else "a"
    lines = [
        f"{done['file']}: {done['task']} of {done['label']!r} by {article} {done['model']}, "
        f"for {amount(done['rows'], 'row')}"
    ]
    lines += [f"  look into {doubt}" for doubt in done["doubts"]]
    lines += ["read it, then:", *(f"  {command}" for command in done["next"])]
    return "\n".join(lines)
