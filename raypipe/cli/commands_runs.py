"""Commands about runs, and about the reviews that they wait for."""

from typing import Annotated, Literal

import typer

from raypipe.cli import options
from raypipe.cli.face import show

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
    of_runs.command("logs")(logs)
    app.add_typer(of_runs, name="runs")
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
    last: Annotated[int, typer.Option("--last", min=1, help="How many, newest first.")] = 20,
    as_json: options.AsJson = False,
) -> None:
    """List runs, newest first."""
    from raypipe.app.inspect import runs
    from raypipe.cli import render

    show("runs", runs(home, last), as_json=as_json, text=render.runs)


def show_run(run: RunName, home: options.Home = None, as_json: options.AsJson = False) -> None:
    """Show one run. Its steps, the attempts that failed, where its curves ended."""
    from raypipe.app import inspect
    from raypipe.cli import render

    show("run", inspect.run(run, home), as_json=as_json, text=render.run)


def logs(run: RunName, home: options.Home = None, as_json: options.AsJson = False) -> None:
    """Print what the steps of a run printed, and the curves that they logged."""
    from raypipe.app import inspect
    from raypipe.cli import render

    show("logs", inspect.logs(run, home), as_json=as_json, text=render.lines)


def list_reviews(home: options.Home = None, as_json: options.AsJson = False) -> None:
    """List reviews, newest first."""
    from raypipe.app import review
    from raypipe.cli import render

    show("reviews", review.list_reviews(home), as_json=as_json, text=render.reviews)


def show_review(
    review: ReviewName, home: options.Home = None, as_json: options.AsJson = False
) -> None:
    """Show what a review decides on. The verdict, the metrics, where the report lies."""
    from raypipe.app import review as reviews
    from raypipe.cli import render

    show("review", reviews.show_review(review, home), as_json=as_json, text=render.review)


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
    from raypipe.cli import render

    decision = decide(name, status, by=by, note=note, home=home)
    show("review", decision, as_json=as_json, text=render.decided)
