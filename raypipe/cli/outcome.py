"""How a run ends on the command line: what it came to, and the exit code."""

from typing import Any

from raypipe.cli.face import dump, note, plain, write

REVIEW_WANTED = 3
"""Exit code of a run that waits for a review, where `--require-done` was given."""


def conclude(outcome: Any, *, as_json: bool, require_done: bool) -> int:
    """Print what a run came to; return the exit code."""
    from raypipe.cli.render import failure, summary

    data = plain(outcome)
    if as_json:
        write(dump(data))
    else:
        write(summary(data))
        if data["error"]:
            note(failure(data["error"]))
    return exit_code(data, require_done=require_done)


def show_plan(outcome: Any, *, as_json: bool) -> int:
    """Print a plan; return the exit code."""
    from raypipe.cli.render import failure, plan

    data = plain(outcome)
    write(dump(data) if as_json else plan(data))
    if data["error"] and not as_json:
        note(failure(data["error"]))
    return exit_code(data, require_done=False)


def exit_code(data: Any, *, require_done: bool) -> int:
    """Return the exit code of a result object."""
    if data["error"]:
        return int(data["error"]["exit"])
    return REVIEW_WANTED if require_done and data["status"] == "waiting" else 0
