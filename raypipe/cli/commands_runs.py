"""Commands about runs, and about the reviews that they wait for."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from raypipe.cli import options
from raypipe.cli.face import show

Status = Literal["running", "succeeded", "waiting", "failed", "rejected", "cancelled"]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or the start of it.")]
ReviewName = Annotated[
    str, typer.Argument(metavar="REVIEW", help="A review's id, or the start of it.")
]
Approver = Annotated[str, typer.Option("--by", metavar="NAME", help="Who decides.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    of_runs = typer.Typer(help="What was run.", no_args_is_help=True, rich_markup_mode=None)
    of_runs.command("list")(list_runs)
    of_runs.command("show")(show_run)
    of_runs.command("compare")(compare)
    of_runs.command("sweep")(sweep)
    of_runs.command("tag")(tag)
    of_runs.command("note")(note)
    of_runs.command("logs")(logs)
    of_runs.command("code")(code)
    app.add_typer(of_runs, name="runs")
    app.command()(cancel)
    of_reviews = typer.Typer(
        help="What waits for a person's decision.", no_args_is_help=True, rich_markup_mode=None
    )
    of_reviews.command("list")(list_reviews)
    of_reviews.command("show")(show_review)
    of_reviews.command("approve")(approve)
    of_reviews.command("reject")(reject)
    app.add_typer(of_reviews, name="review")


def list_runs(
    home: options.Home = None,
    status: Annotated[
        Status | None, typer.Option("--status", help="Only those that are so.")
    ] = None,
    pipeline: Annotated[
        str | None, typer.Option("--pipeline", metavar="NAME", help="Only those of this pipeline.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only those since: 2h, 3d or 2026-01-31."),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            "--where",
            metavar="EXPRESSION",
            help="Only those of which it holds, such as \"auc > 0.7 and 'good' in tags\": of "
            "metrics, settings (training.epochs), pipeline, status, seconds, by, tags, notes.",
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort", metavar="[-]NAME", help="By this, least first; with - before it, most first."
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option("--limit", "--last", min=1, max=options.MOST, help="How many, newest first."),
    ] = 20,
    as_json: options.AsJson = False,
) -> None:
    """List runs, newest first."""
    from raypipe.app.inspect import runs
    from raypipe.cli import render_runs

    found = runs(home, limit, status=status, pipeline=pipeline, since=since, where=where, sort=sort)
    asked = status or pipeline or since or where
    text = render_runs.runs if found or not asked else lambda data: "No run is so."
    show("runs", found, as_json=as_json, text=text)


def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN OTHER…")],
    every: Annotated[bool, typer.Option("--all", help="What is alike too.")] = False,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Compare runs. Settings, data, code, packages, what came of their steps, metrics."""
    from raypipe.app.compare import compare as compare_runs
    from raypipe.cli.render_compare import comparison

    show("comparison", compare_runs(runs, home, every=every), as_json=as_json, text=comparison)


def sweep(
    run: RunName,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the report there (HTML).")
    ] = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Show a run's sweep. Its trials, the best so far, how much each setting mattered."""
    from raypipe.app.sweep import sweep as sweep_of
    from raypipe.cli import render_runs

    show("sweep", sweep_of(run, home, out), as_json=as_json, text=render_runs.sweep)


def tag(
    run: RunName,
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="One word each.")],
    off: Annotated[bool, typer.Option("--off", help="Take them off.")] = False,
    by: options.By = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Tag a run. `runs list --where "'NAME' in tags"` finds it."""
    from raypipe.app.remarks import tag_run
    from raypipe.cli import render_runs

    said = tag_run(run, names, off=off, by=by, home=home)
    show("remarks", said, as_json=as_json, text=render_runs.remarks)


def note(
    run: RunName,
    text: Annotated[str, typer.Argument(metavar="TEXT")],
    off: Annotated[bool, typer.Option("--off", help="Take back the note of this text.")] = False,
    by: options.By = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Add a note to a run. `runs show` has it, with who wrote it and when."""
    from raypipe.app.remarks import note_run
    from raypipe.cli import render_runs

    said = note_run(run, text, off=off, by=by, home=home)
    show("remarks", said, as_json=as_json, text=render_runs.remarks)


def show_run(run: RunName, home: options.Home = None, as_json: options.AsJson = False) -> None:
    """Show one run. Its steps, the attempts that failed, where its curves ended."""
    from raypipe.app import inspect
    from raypipe.cli import render_runs

    show("run", inspect.run(run, home), as_json=as_json, text=render_runs.run)


def logs(
    run: RunName,
    step: Annotated[str | None, typer.Argument(metavar="[STEP]", help="Of this step only.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")
    ] = False,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Print what the steps of a run said. Each line has its time, step and level."""
    from raypipe.app import logs as of_runs
    from raypipe.cli import render_runs
    from raypipe.cli.face import conclude_json, dump, write

    found = (of_runs.follow if follow else of_runs.logs)(run, home, step)
    count = 0
    for count, line in enumerate(found.lines, 1):  # noqa: B007 - it is told below
        write(dump({"event": "log", **line}) if as_json else render_runs.log_line(line))
    if as_json:
        told = {"run": found.run.id, "lines": count}
        conclude_json({"event": "result", "logs": told, "error": None})


def code(
    run: RunName,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Write the files there.")
    ] = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """List the files of the project's code that a run used, or write them to a folder."""
    from raypipe.app import inspect
    from raypipe.cli import render_runs

    show("code", inspect.code(run, home, out), as_json=as_json, text=render_runs.code)


def cancel(
    run: RunName,
    by: options.By = None,
    note: options.Note = "",
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Cancel a run. Its steps end at once; what it has recorded is kept for the next one."""
    from raypipe.app.cancel import cancel as cancel_run
    from raypipe.cli import render_runs

    told = cancel_run(run, home, by=by, note=note)
    show("cancel", told, as_json=as_json, text=render_runs.cancelled)


def list_reviews(home: options.Home = None, as_json: options.AsJson = False) -> None:
    """List reviews, newest first."""
    from raypipe.app import review
    from raypipe.cli import render_reviews

    show("reviews", review.list_reviews(home), as_json=as_json, text=render_reviews.reviews)


def show_review(
    review: ReviewName, home: options.Home = None, as_json: options.AsJson = False
) -> None:
    """Show what a review decides on. The verdict, the metrics, where the report lies."""
    from raypipe.app import review as reviews
    from raypipe.cli import render_reviews

    show("review", reviews.show_review(review, home), as_json=as_json, text=render_reviews.review)


def approve(
    review: ReviewName,
    by: Approver,
    note: options.Note = "",
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Approve. The next run of the same target and settings goes on from there."""
    _decide(review, "approved", by, note, home, as_json)


def reject(
    review: ReviewName,
    by: Approver,
    note: options.Note = "",
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Reject. The next run of the same ends there, and names who and why."""
    _decide(review, "rejected", by, note, home, as_json)


def _decide(
    name: str,
    status: Literal["approved", "rejected"],
    by: str,
    note: str,
    home: options.Home,
    as_json: bool,
) -> None:
    from raypipe.app.review import decide
    from raypipe.cli import render_reviews

    decision = decide(name, status, by=by, note=note, home=home)
    show("review", decision, as_json=as_json, text=render_reviews.decided)
