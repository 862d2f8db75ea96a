"""Commands about one pipeline: run, plan, why; and about the home: clean, doctor."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raypipe.cli import options
from raypipe.cli.face import show

if TYPE_CHECKING:
    from raypipe.app.request import RunRequest


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (run, plan, why, clean, doctor):
        app.command()(command)


def run(
    target: options.Target = None,
    sets: options.Sets = None,
    home: options.Home = None,
    runtime: options.Runtime = None,
    address: options.Address = None,
    shared: options.Shared = False,
    force: options.Force = None,
    resume: options.Resume = None,
    code: options.Code = None,
    strict: options.Strict = False,
    require_done: options.RequireDone = False,
    as_json: options.AsJson = False,
    by: options.By = None,
    accept: options.Accept = None,
    why: options.Why = None,
) -> int:
    """Run a pipeline. What is kept is reused, what is missing is executed."""
    from dataclasses import replace

    from raypipe.app.run import run as run_pipeline
    from raypipe.cli.live import listening
    from raypipe.cli.outcome import conclude

    request = _request(target, sets, home, runtime, address, force, by, shared)
    request = replace(request, resume=resume, code=code, strict=strict)
    request = replace(request, accept=tuple(accept or ()), why=why)
    with listening(as_json=as_json) as listen:
        outcome = run_pipeline(request, listen)
    return conclude(outcome, as_json=as_json, require_done=require_done)


def plan(
    target: options.Target = None,
    sets: options.Sets = None,
    home: options.Home = None,
    runtime: options.Runtime = None,
    address: options.Address = None,
    force: options.Force = None,
    as_json: options.AsJson = False,
) -> int:
    """Show what a run would do, and why. Nothing is executed, and Ray is not needed."""
    from raypipe.app.prepare import plan as plan_pipeline
    from raypipe.cli.outcome import conclude

    request = _request(target, sets, home, runtime, address, force, None)
    return conclude(plan_pipeline(request), as_json=as_json)


def why(
    step: Annotated[
        str, typer.Argument(metavar="STEP", help="A step's name, as `raypipe plan` shows it.")
    ],
    target: options.Target = None,
    sets: options.Sets = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Say why a step would run or not. Names the code, parameter or input that differs."""
    from raypipe.app.why import why as ask
    from raypipe.cli import render_plans

    request = _request(target, sets, home, None, None, None, None)
    show("why", ask(request, step), as_json=as_json, text=render_plans.why)


def clean(
    home: options.Home = None,
    yes: options.Yes = False,
    runs: Annotated[
        int | None,
        typer.Option(
            "--runs",
            min=0,
            max=options.MOST,
            help="Newest runs of each pipeline that keep all they made. Left out: "
            "store.keep.newest.",
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Remove what is not needed. Without --yes it is only shown what that is; safe beside runs."""
    from raypipe.app.clean import clean as clean_home
    from raypipe.cli.render_home import cleaning

    said = clean_home(home, dry_run=not yes, runs=runs)
    show("clean", said, as_json=as_json, text=cleaning)


def doctor(
    home: options.Home = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Also read every artifact, whole.")
    ] = False,
    faults: Annotated[
        bool, typer.Option("--faults", help="List the fault points, for tests of crashes.")
    ] = False,
    as_json: options.AsJson = False,
) -> int:
    """Look whether all that raypipe needs is there. Exits with 7 if something is not."""
    if faults:
        from raypipe.cli.render_home import fault_points
        from raypipe.fault_points import FAULT_POINTS

        show("fault_points", FAULT_POINTS, as_json=as_json, text=fault_points)
        return 0
    from raypipe.app import doctor as examine
    from raypipe.cli.render_home import checks

    found = examine.doctor(home) + (examine.verify(home) if verify else [])
    show("checks", found, as_json=as_json, text=checks)
    return 0 if all(check.ok for check in found) else 7


def _request(
    target: str | None,
    sets: list[str] | None,
    home: Path | None,
    runtime: options.RuntimeKind | None,
    address: str | None,
    force: list[str] | None,
    by: str | None,
    shared: bool = False,
) -> "RunRequest":
    from raypipe.app.request import RunRequest

    return RunRequest(
        target=target,
        sets=tuple(sets or ()),
        home=home,
        runtime=runtime,
        address=address,
        shared=shared,
        force=tuple(force or ()),
        by=by,
    )
