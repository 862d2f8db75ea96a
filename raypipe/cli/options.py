"""Options that several commands share, each said once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

MOST = 1_000_000_000
"""Largest count that an option takes."""

Target = Annotated[
    str | None,
    typer.Argument(
        metavar="[TARGET]",
        help="A settings file (flights.yaml) or a script (my_flow.py or my_flow.py:pipeline). "
        "Left out: that of the last run in this home, without its --set.",
    ),
]

Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIR",
        help="Where runs, results and models are kept. Left out: RAYPIPE_HOME, the nearest "
        ".raypipe folder, or one in the project's root.",
    ),
]

Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A setting or a pipeline's parameter, such as training.epochs=5; can be repeated.",
    ),
]

RuntimeKind = Literal["inline", "ray"]

Runtime = Annotated[
    RuntimeKind | None,
    typer.Option(
        "--runtime",
        help="Where steps run. Left out: what the settings say; inline for a script.",
    ),
]

Address = Annotated[
    str | None,
    typer.Option("--address", metavar="HOST:PORT", help="A running Ray cluster to use."),
]

Shared = Annotated[
    bool,
    typer.Option(
        "--shared",
        help="Each node of the cluster sees the home under the same path (runtime.shared).",
    ),
]

Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="A step that reads a file, a variable or a socket that it does not declare fails "
        "(runtime.audit).",
    ),
]

Types = Annotated[
    list[str] | None,
    typer.Option("--type", metavar="COLUMN=TYPE", help="Such as zip=string; repeatable."),
]

Delimiter = Annotated[
    str | None, typer.Option("--delimiter", metavar="CHARACTER", help="Of CSV files.")
]

Encoding = Annotated[
    str | None, typer.Option("--encoding", metavar="NAME", help="Of CSV files: utf-8, latin-1.")
]

Labels = Annotated[
    str | None,
    typer.Option("--labels", metavar="FILE", help="A table with `path` and the labels of images."),
]

Accept = Annotated[
    list[str] | None,
    typer.Option(
        "--accept",
        metavar="KIND:COLUMN",
        help="A change that is expected, as validation names it (drift:temp); repeatable. It is "
        "recorded with who and --why.",
    ),
]

Why = Annotated[str | None, typer.Option("--why", metavar="TEXT", help="Why it is accepted.")]

Force = Annotated[
    list[str] | None,
    typer.Option("--force", metavar="STEP", help="Execute this step whatever is kept; repeatable."),
]

Resume = Annotated[
    str | None,
    typer.Option(
        "--resume",
        metavar="RUN",
        help="Go on from this run, with its target, parameters, settings, data and code.",
    ),
]

Code = Annotated[
    Literal["kept", "now"] | None,
    typer.Option(
        "--code",
        help="With --resume: the code that was kept with the run (so it is where there is any), "
        "or that of now.",
    ),
]

RequireDone = Annotated[
    bool, typer.Option("--require-done", help="Exit with 3 if the run waits for a review.")
]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]

By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who does this.")]

Note = Annotated[
    str, typer.Option("--note", metavar="TEXT", help="Why, for those who read it later.")
]

Yes = Annotated[bool, typer.Option("--yes", help="Do it; without this it is only shown.")]
