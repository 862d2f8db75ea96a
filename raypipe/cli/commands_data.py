"""Commands about versioned data."""

from pathlib import Path
from typing import Annotated

import typer

from raypipe.cli import options
from raypipe.cli.face import show

Dataset = Annotated[
    str,
    typer.Argument(
        metavar="DATASET", help="local://REPO/REF or lakefs://REPO/REF, each with /PATH."
    ),
]
Repository = Annotated[
    str, typer.Argument(metavar="DATASET", help="local://REPO/BRANCH of what is changed.")
]
Settings = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings that say label, key and split."),
]

Reached = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings that say how lakeFS is reached."),
]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    of_data = typer.Typer(help="Versioned data.", no_args_is_help=True, rich_markup_mode=None)
    of_data.command()(init)
    of_data.command("import")(import_files)
    for command in (log, diff, profile, report, branch, merge, tag, revert):
        of_data.command()(command)
    of_data.command()(protect)
    of_data.command()(unprotect)
    of_data.command()(accept)
    of_data.command("show")(show_data)
    of_data.command("schema")(schema_of)
    app.add_typer(of_data, name="data")


def init(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="local://REPO/main or lakefs://REPO/main.")
    ],
    config: Reached = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Make DATASET's repository, empty."""
    from raypipe.app import data
    from raypipe.cli import render

    show("init", data.init(dataset, config=config, home=home), as_json=as_json, text=render.lines)


def import_files(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH…",
            help="Files or URIs: CSV, JSON lines, Parquet, Arrow; folders of them or of images.",
        ),
    ],
    to: Annotated[
        str, typer.Option("--to", metavar="DATASET", help="Such as local://flights/main.")
    ],
    config: Settings = None,
    partition: Annotated[
        str | None, typer.Option("--partition", metavar="COLUMN", help="Shards for each value.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="COLUMN", help="A column that no row may lack; repeatable."),
    ] = None,
    types: options.Types = None,
    rejects: Annotated[
        str | None,
        typer.Option(
            "--rejects",
            metavar="FILE",
            help="Leave out rows that cannot be read, and list them there.",
        ),
    ] = None,
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = None,
    labels: options.Labels = None,
    shard_mb: Annotated[
        int | None, typer.Option("--shard-mb", metavar="MIB", help="Size of what a shard is of.")
    ] = None,
    runtime: options.Runtime = None,
    address: options.Address = None,
    shared: options.Shared = False,
    create: Annotated[
        bool, typer.Option("--create", help="Make the repository on the lakeFS server.")
    ] = False,
    home: options.Home = None,
    by: options.By = None,
    accept: options.Accept = None,
    why: options.Why = None,
    as_json: options.AsJson = False,
) -> None:
    """Import files. They are profiled and validated on a branch, then merged."""
    from raypipe.app import data
    from raypipe.app.request import RunRequest
    from raypipe.cli import render
    from raypipe.cli.live import listening

    given = {
        "partition": partition,
        "key": key and tuple(key),
        "types": types and data.named_types(types),
        "rejects": rejects,
        "delimiter": delimiter,
        "encoding": encoding,
        "labels": labels,
        "shard_mb": shard_mb,
    }
    with listening(as_json=as_json) as listen:
        done = data.import_files(
            files,
            to,
            config=config,
            given={name: value for name, value in given.items() if value is not None},
            run=RunRequest(runtime=runtime, address=address, shared=shared),
            create=create,
            home=home,
            by=by,
            accept=accept or (),
            why=why,
            listen=listen,
        )
    show("import", done, as_json=as_json, text=render.lines)


def log(dataset: Dataset, home: options.Home = None, as_json: options.AsJson = False) -> None:
    """List the commits of a branch, newest first."""
    from raypipe.app import data
    from raypipe.cli import render_data

    show("commits", data.log(dataset, home=home), as_json=as_json, text=render_data.commits)


def diff(
    dataset: Dataset,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="A ref to compare with.")],
    config: Settings = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Say how OTHER differs. Files, rows, columns, and statistics of columns."""
    from raypipe.app import data
    from raypipe.cli import render_data

    found = data.diff(dataset, other, config=config, home=home)
    show("diff", found, as_json=as_json, text=render_data.changes)


def show_data(dataset: Dataset, home: options.Home = None, as_json: options.AsJson = False) -> None:
    """Show a dataset at a ref. Commit, shards, rows, columns."""
    from raypipe.app import data
    from raypipe.cli import render_data

    show("dataset", data.show(dataset, home=home), as_json=as_json, text=render_data.dataset)


def schema_of(
    dataset: Dataset,
    config: Settings = None,
    commit: Annotated[
        bool,
        typer.Option(
            "--commit", help="Hold the branch to the schema file of --config; it goes with it then."
        ),
    ] = False,
    home: options.Home = None,
    by: options.By = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the schema that goes with DATASET. With --config, how the file of now differs."""
    from raypipe.app import data_schema
    from raypipe.cli import render, render_data
    from raypipe.cli.live import listening
    from raypipe.errors import UsageError

    if not commit:
        found = data_schema.show_schema(dataset, config=config, home=home)
        show("schema", found, as_json=as_json, text=render_data.schemas)
        return
    if config is None:
        raise UsageError("--commit needs --config", hint="its settings name the schema file")
    with listening(as_json=as_json) as listen:
        done = data_schema.commit_schema(dataset, config=config, home=home, by=by, listen=listen)
    show("schema", done, as_json=as_json, text=render.lines)


def profile(
    dataset: Dataset,
    config: Settings = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Show statistics of each column."""
    from raypipe.app import data
    from raypipe.cli import render_data

    found = data.profile(dataset, config=config, home=home)
    show("profile", found, as_json=as_json, text=render_data.profile)


def report(
    dataset: Dataset,
    config: Settings = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="REF",
            help="What the rows are compared with. Left out: those that the pipeline of --config "
            "accepted last.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where a copy is to lie.")
    ] = None,
    home: options.Home = None,
    by: options.By = None,
    as_json: options.AsJson = False,
) -> None:
    """Write DATASET's report. One page: anomalies, what changed, each column."""
    from raypipe.app import data_report
    from raypipe.cli import render
    from raypipe.cli.live import listening

    with listening(as_json=as_json) as listen:
        done = data_report.report(
            dataset, config=config, against=against, out=out, home=home, by=by, listen=listen
        )
    show("report", done, as_json=as_json, text=render.lines)


def branch(
    dataset: Dataset,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the new branch.")],
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Make a branch at DATASET's ref; nothing is copied."""
    from raypipe.app import data
    from raypipe.cli import render

    show("branch", data.branch(dataset, name, home=home), as_json=as_json, text=render.lines)


def merge(
    dataset: Repository,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Branch whose changes are brought in.")
    ],
    config: Settings = None,
    home: options.Home = None,
    by: options.By = None,
    as_json: options.AsJson = False,
) -> None:
    """Bring another branch's changes into DATASET's branch. With --config they are validated."""
    from raypipe.app import merges
    from raypipe.cli import render
    from raypipe.cli.live import listening

    with listening(as_json=as_json) as listen:
        done = merges.merge(dataset, source, config=config, home=home, by=by, listen=listen)
    show("merge", done, as_json=as_json, text=render.lines)


def tag(
    dataset: Dataset,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the new tag.")],
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Name DATASET's commit for ever."""
    from raypipe.app import data
    from raypipe.cli import render

    show("tag", data.tag(dataset, name, home=home), as_json=as_json, text=render.lines)


def revert(
    dataset: Repository,
    commit: Annotated[
        str, typer.Argument(metavar="COMMIT", help="The commit that is undone by a new one.")
    ],
    config: Settings = None,
    home: options.Home = None,
    by: options.By = None,
    as_json: options.AsJson = False,
) -> None:
    """Undo a commit by another one. With --config what comes of it is validated first."""
    from raypipe.app import merges
    from raypipe.cli import render
    from raypipe.cli.live import listening

    with listening(as_json=as_json) as listen:
        done = merges.revert(dataset, commit, config=config, home=home, by=by, listen=listen)
    show("revert", done, as_json=as_json, text=render.lines)


def protect(
    dataset: Repository,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="Where lakeFS reaches the gate. Left out: that of the `raypipe watch` that is up.",
        ),
    ] = None,
    secret_in_repository: Annotated[
        bool,
        typer.Option(
            "--secret-in-repository",
            help="Write the gate's token where all who read the repository see it. Left out: "
            "lakeFS has it in its environment, as LAKEFSACTION_RAYPIPE_TOKEN.",
        ),
    ] = False,
    config: Reached = None,
    home: options.Home = None,
    by: options.By = None,
    as_json: options.AsJson = False,
) -> None:
    """Let only validated data come to DATASET's branch, whoever brings it."""
    from raypipe.app import protect as protection
    from raypipe.cli import render

    done = protection.protect(
        dataset, url=url, secret_in_repository=secret_in_repository, config=config, home=home, by=by
    )
    show("protect", done, as_json=as_json, text=render.lines)


def unprotect(
    dataset: Repository,
    config: Reached = None,
    home: options.Home = None,
    by: options.By = None,
    as_json: options.AsJson = False,
) -> None:
    """Let whatever data come to DATASET's branch again."""
    from raypipe.app import protect as protection
    from raypipe.cli import render

    done = protection.unprotect(dataset, config=config, home=home, by=by)
    show("unprotect", done, as_json=as_json, text=render.lines)


def accept(
    dataset: Dataset,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for those who read it later.")
    ],
    config: Reached = None,
    home: options.Home = None,
    by: options.By = None,
    as_json: options.AsJson = False,
) -> None:
    """Let the data of a branch in as it is. It is recorded with who, when and why."""
    from raypipe.app import protect as protection
    from raypipe.cli import render

    done = protection.accept(dataset, reason, config=config, home=home, by=by)
    show("accept", done, as_json=as_json, text=render.lines)
