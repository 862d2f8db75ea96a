"""Pipelines and settings files as Python objects that can be run from a script."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raypipe.app.outcome import Outcome
from raypipe.app.request import RunRequest
from raypipe.engine.pipeline import Pipeline
from raypipe.errors import PipelineError


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """A settings file, ready to be planned and run."""

    path: Path
    sets: tuple[str, ...] = ()

    def plan(self, **options: Any) -> Outcome:
        """Say what a run would do; see `RunRequest` for the options."""
        from raypipe.app.prepare import plan

        return plan(self._request(options))

    def run(self, **options: Any) -> Outcome:
        """Run the cycle; raises what stopped it. Waiting for a review is no error."""
        from raypipe.app.run import run

        return _or_raise(run(self._request(options)))

    def _request(self, options: Mapping[str, Any]) -> RunRequest:
        return RunRequest(target=str(self.path), sets=self.sets, **options)


def run_pipeline(
    made: Pipeline[..., Any], parameters: Mapping[str, Any], options: Mapping[str, Any]
) -> Outcome:
    """Run a pipeline that a script holds, in the home of the script's project."""
    from raypipe.app.assemble import open_workshop
    from raypipe.app.home import find_home
    from raypipe.app.job import as_submitted
    from raypipe.app.prepare import Prepared, in_words, shown
    from raypipe.app.resume import write_given
    from raypipe.app.run import run_prepared
    from raypipe.engine.step import main_module, module_of
    from raypipe.store.projects import module_name, project_root

    request = RunRequest(**options)
    file = _file_of(made)
    root = project_root(file)
    if made.function.__module__ == "__main__":
        main_module[:] = [module_name(file, root)]
    workshop = open_workshop(root, find_home(request.home, root), write=True, by=request.by)
    prepared = Prepared(
        graph=made.build(parameters),
        workshop=workshop,
        given=write_given(made.bind(parameters), workshop),
        place=str(file.relative_to(root)),
        parameters=in_words(made.bind(parameters)),
        target=f"{as_submitted(file)}:{made.name}",
        command=request.command or f"python {shown(file)}",
        imported=(module_of(made.function),),
        runtime=request.runtime or ("ray" if request.address else "inline"),
        address=request.address,
        shared=request.shared,
    )
    return _or_raise(run_prepared(prepared, request))


def _file_of(made: Pipeline[..., Any]) -> Path:
    """Return the file of a pipeline; PipelineError where it was typed into a session."""
    named = getattr(sys.modules[made.function.__module__], "__file__", None)
    if named is None or not Path(named).is_file():
        raise PipelineError(
            f"pipeline {made.name!r} was not read from a file, so that its code cannot be told",
            hint="write it and its steps into a .py file, and import it from there",
        )
    return Path(named).absolute()


def _or_raise(outcome: Outcome) -> Outcome:
    if (error := outcome.error) is not None:
        for note in (getattr(error, "frames", "").rstrip(), error.hint and f"→ {error.hint}"):
            if note:
                error.add_note(note)
        raise error
    return outcome
