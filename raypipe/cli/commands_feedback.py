"""Commands about what a model was asked and told: labels, live quality, drift, the next data."""

from pathlib import Path
from typing import Annotated

import typer

from raypipe.cli import options
from raypipe.cli.face import conclude_json, fault, note, plain, show, write


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    of_feedback = typer.Typer(
        help="What turned out to be true, and what follows from it.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    of_feedback.command()(add)
    of_feedback.command()(join)
    app.add_typer(of_feedback, name="feedback")


def add(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Labels, with request_id and request_row: such as what `predict --out` wrote.",
        ),
    ],
    home: options.Home = None,
    by: options.By = None,
    as_json: options.AsJson = False,
) -> None:
    """Keep the labels of a file. Those of unknown requests are kept too, and counted."""
    from raypipe.app.feedback_run import add as add_labels
    from raypipe.cli.render_feedback import added

    show("feedback", add_labels(file, home, by=by), as_json=as_json, text=added)


def join(
    settings: Annotated[Path, typer.Argument(metavar="SETTINGS", help="A model's settings file.")],
    sets: options.Sets = None,
    home: options.Home = None,
    by: options.By = None,
    as_json: options.AsJson = False,
) -> int:
    """Join requests and labels. Shows live quality and drift, and offers captured rows."""
    from raypipe.app.feedback_run import join as join_labels
    from raypipe.cli.live import listening
    from raypipe.cli.render_feedback import joined

    with listening(as_json=as_json) as listen:
        done = join_labels(settings, home, sets=tuple(sets or ()), by=by, listen=listen)
    if as_json:
        conclude_json(plain(done))
    else:
        write(joined(plain(done)))
        if done.outcome.error is not None:
            note(fault(done.outcome.error))
    return done.outcome.exit_code
