"""What a target names: a settings file, or a pipeline in a script."""

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import signature
from pathlib import Path
from typing import Any, get_type_hints

from raypipe.engine.pipeline import Pipeline
from raypipe.errors import NotFound, PipelineError, UsageError
from raypipe.runtime.imports import SourceLoader, run_what_sources_say
from raypipe.store.projects import module_name, project_root


@dataclass(frozen=True, kw_only=True)
class Target:
    """A file that can be run."""

    path: Path
    name: str | None
    """The pipeline in it, where the target says which."""
    within: Path | None = None
    """The folder that is its project, where that is a copy; None: found above it."""

    @property
    def is_script(self) -> bool:
        """A Python file; otherwise settings."""
        return self.path.suffix == ".py"

    @property
    def root(self) -> Path:
        """The project that it belongs to."""
        return self.within or project_root(self.path)

    def __str__(self) -> str:
        return f"{self.path}:{self.name}" if self.name else str(self.path)


def parse_target(text: str) -> Target:
    """Read `FILE` or `FILE.py:PIPELINE`; NotFound if there is no such file."""
    file, colon, name = text.rpartition(":")
    if not colon or not file.endswith(".py"):
        file, name = text, ""
    path = Path(file).absolute()
    if not _exists(path):
        here = [entry.name for entry in path.parent.glob("*")] if _exists(path.parent) else []
        close = get_close_matches(path.name, here, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "give a settings file or a Python script"
        raise NotFound(f"there is no file {file!r}", hint=hint)
    if path.is_dir() or file.endswith("/"):
        raise UsageError(
            f"{file!r} names a folder, not a script or a settings file",
            hint="give the file in it: my_flow.py, my_flow.py:PIPELINE or settings.yaml",
        )
    if path.suffix not in {".py", ".yaml", ".yml"}:
        raise UsageError(
            f"{file!r} is neither a script (.py) nor settings (.yaml)",
            hint="give my_flow.py, my_flow.py:PIPELINE or settings.yaml",
        )
    return Target(path=path, name=name or None)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return False


def import_pipeline(target: Target) -> Pipeline[..., Any]:
    """Import a script and return the pipeline that the target names, or the only one in it."""
    module = _import(target)
    found = {
        name: thing
        for name, thing in vars(module).items()
        if isinstance(thing, Pipeline) and thing.function.__module__ == module.__name__
    }
    if target.name is not None:
        if target.name in found:
            return found[target.name]
        close = get_close_matches(target.name, found, n=1)
        raise NotFound(
            f"{target.path.name} has no pipeline {target.name!r}",
            hint=f"did you mean {close[0]!r}?" if close else f"it has {', '.join(found) or 'none'}",
        )
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise UsageError(
            f"{target.path.name} has no pipeline",
            hint="decorate the function that connects the steps with @pipeline (from raypipe)",
        )
    raise UsageError(
        f"{target.path.name} has {len(found)} pipelines: {', '.join(sorted(found))}",
        hint=f"say which: {target.path.name}:{sorted(found)[0]}",
    )


def _import(target: Target) -> Any:
    run_what_sources_say()
    root = target.root
    name = module_name(target.path, root)
    for folder in (root, target.path.parent):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    try:
        if name in sys.modules:
            return _loaded(name, target)
        loader = SourceLoader(name, str(target.path))
        spec = importlib.util.spec_from_file_location(name, target.path, loader=loader)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    except SyntaxError as error:
        sys.modules.pop(name, None)
        raise PipelineError(
            f"{target.path.name}, line {error.lineno or 1}: {error.msg}", hint="mend the syntax"
        ) from error
    except UsageError:
        sys.modules.pop(name, None)
        raise
    except SystemExit as error:
        sys.modules.pop(name, None)
        raise PipelineError(
            f"{target.path.name} ends the process when it is imported: SystemExit({error})",
            hint='put what it does as a script under `if __name__ == "__main__":`',
        ) from error
    except Exception as error:
        sys.modules.pop(name, None)
        raise PipelineError(
            f"{target.path.name} cannot be imported: {type(error).__name__}: {error}",
            hint="run it with python to see the whole traceback",
        ) from error
    return module


def _loaded(name: str, target: Target) -> Any:
    """Return the module of a script that was imported; UsageError if its name is another's."""
    module = sys.modules[name]
    file = getattr(module, "__file__", None)
    if name == "__main__" or file is None or Path(file).resolve() != target.path.resolve():
        there = "there is" if file is None else f"was loaded from {file}"
        raise UsageError(
            f"{str(target.path)!r} has the name of another module, {name!r}, which {there} already",
            hint="give it a name of its own, or run it in a process of its own",
        )
    return module


def read_parameters(made: Pipeline[..., Any], sets: tuple[str, ...]) -> dict[str, Any]:
    """Read `name=value` pairs as parameters of a pipeline, each value in YAML.

    `name.field=value` sets a part of a parameter that is a dict, a dataclass or a pydantic model,
    over its default.
    """
    if not sets:
        return {}
    from pydantic_core import to_jsonable_python

    from raypipe.config.text import apply, parse_sets

    settings = parse_sets(sets)
    hints = _hints(made)
    parts = {setting.path[0] for setting in settings if len(setting.path) > 1}
    defaults = {
        name: to_jsonable_python(parameter.default, fallback=lambda value: value)
        for name, parameter in signature(made.function).parameters.items()
        if name in parts and parameter.default is not parameter.empty
    }
    named = dict.fromkeys(str(setting.path[0]) for setting in settings)
    given = apply(defaults, settings)
    return {name: fit(given[name], hints.get(name), name) for name in named}


def _hints(made: Pipeline[..., Any]) -> Mapping[str, Any]:
    try:
        return get_type_hints(made.function)
    except Exception:
        return {}


def fit(value: Any, hint: Any, name: str) -> Any:
    """Turn a value of YAML into what an annotation asks for; UsageError if it does not fit."""
    if hint in {None, Any}:
        return value
    if hint is str and isinstance(value, int | float):
        return str(value)
    from pydantic import PydanticSchemaGenerationError, TypeAdapter, ValidationError

    try:
        return TypeAdapter(hint).validate_python(value, strict=hint in {bool, int, float})
    except PydanticSchemaGenerationError:
        return value
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, (name, *first["loc"])))
        wanted = getattr(hint, "__name__", str(hint))
        raise UsageError(
            f"--set {where}: {first['input']!r} does not fit {wanted}: {first['msg']}",
            hint=f"the pipeline's parameter {name!r} is annotated {wanted}",
        ) from None
