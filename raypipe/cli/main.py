"""The parser and the exit codes; what a command needs is imported when it is called."""

import gc
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

import raypipe
from raypipe.cli import (
    commands,
    commands_checks,
    commands_config,
    commands_data,
    commands_edge_cases,
    commands_feedback,
    commands_holds,
    commands_init,
    commands_models,
    commands_outbox,
    commands_requests,
    commands_runs,
    commands_serving,
    commands_watch,
)
from raypipe.cli.face import (
    begin,
    dump,
    error_record,
    fault,
    has_told,
    hearing,
    note,
    open_closed_streams,
    unsaid,
    write,
)
from raypipe.errors import Interrupted, RaypipeError, StoreError
from raypipe.fault_points import check_asked

PATIENCE = 2.0
"""Seconds after a Ctrl-C in which another one is taken for the same."""
COLLECTED = 50_000
"""New objects after which Python looks for garbage; at its 700 that takes a tenth of a command."""

app = typer.Typer(
    name="raypipe",
    help="The whole life of a machine-learning model as one durable, cached cycle on Ray.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
commands_init.register(app)
commands.register(app)
commands_runs.register(app)
commands_models.register(app)
commands_serving.register(app)
commands_data.register(app)
commands_checks.register(app)
commands_requests.register(app)
commands_edge_cases.register(app)
commands_holds.register(app)
commands_feedback.register(app)
commands_config.register(app)
commands_outbox.register(app)
commands_watch.register(app)


def _version(asked: bool) -> None:
    if asked:
        write(f"raypipe {raypipe.__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> NoReturn:
    """Run the command line of this process."""
    gc.set_threshold(COLLECTED, *gc.get_threshold()[1:])
    open_closed_streams()
    _interrupt_once()
    try:
        code = execute(sys.argv[1:])
    except KeyboardInterrupt:  # a later one: no more words
        code = Interrupted.exit_code
    for stream in (sys.stdout, sys.stderr):
        with hearing(stream):
            stream.flush()
    if (lost := unsaid()) and code == 0:
        note(f"raypipe: it is done, and standard output could not be written: {lost.strerror}")
        code = StoreError.exit_code
    sys.exit(code)


def execute(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code. Every fault has been told when this returns."""
    begin()
    try:
        check_asked()
        code = app(args=list(arguments), prog_name="raypipe", standalone_mode=False) or 0
        told = has_told() and "--json" not in arguments
        if code == Interrupted.exit_code and not told:  # how newer versions of Typer hand it on
            raise KeyboardInterrupt
        return int(code)
    except RaypipeError as error:
        return _tell(error, error.exit_code, fault(error), arguments)
    except (KeyboardInterrupt, typer.Abort):
        stopped = Interrupted(
            "interrupted", hint="What was recorded is kept: run it again to go on."
        )
        return _tell(stopped, stopped.exit_code, fault(stopped), arguments)
    except Exception as error:
        if hasattr(error, "format_message"):  # Typer's own: a command line that makes no sense
            return _tell(error, 2, _usage(error), arguments)
        return _tell(error, 1, _own_fault(error), arguments)


def _interrupt_once() -> None:
    """Let the first Ctrl-C or SIGTERM end the command; what follows at once is not heard."""
    first: list[float] = []

    def interrupt(*_: object) -> None:
        now = time.monotonic()
        if first and now - first[0] < PATIENCE:
            return
        first.append(now)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, interrupt)


def _tell(error: BaseException, code: int, text: str, arguments: Sequence[str]) -> int:
    if os.environ.get("RAYPIPE_DEBUG") == "1":
        import traceback

        note("".join(traceback.format_exception(error)).rstrip())
    if text:
        note(text)
    if "--json" in arguments and not has_told():
        write(dump(error_record(error, code)))
    return code


def _usage(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "raypipe"
    message = getattr(error, "format_message", str)()
    if type(error).__name__ == "NoArgsIsHelpError":
        return str(message)
    if message.startswith("No such option") and command == "raypipe":
        message += "; a command's options follow its name"
    return f"raypipe: {message}\n→ `{command} --help` shows how it is used."


def _own_fault(error: Exception) -> str:
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    code = frame.tb_frame.f_code if frame else None
    where = f" in {os.path.basename(code.co_filename)}, {code.co_name}" if code else ""  # noqa: PTH119
    said = " ".join(str(error).split())[:300]
    return (
        f"raypipe: this is a fault of raypipe, not of yours: "
        f"{type(error).__name__}: {said}{where}\n"
        "→ With RAYPIPE_DEBUG=1 in the environment it says where; please report that."
    )


if __name__ == "__main__":
    main()
