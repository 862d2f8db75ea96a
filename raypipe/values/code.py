"""From a code reference, `module:name`, to what it names."""

import difflib
import importlib
import pkgutil
import traceback
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from raypipe.errors import CodeReferenceError


def resolve(reference: str) -> Any:
    """Import the module and return what is named in it; CodeReferenceError if it is not there."""
    module, colon, name = reference.partition(":")
    if not (module and colon and name):
        raise CodeReferenceError(
            f"{reference!r} is no code reference", hint="Write MODULE:NAME: my_pkg.model:build."
        )
    found: Any = _import(module, reference)
    for part in name.split("."):
        if not hasattr(found, part):
            raise CodeReferenceError(
                f"{reference}: {_called(found)} has no {part!r}",
                hint=_suggest(part, (n for n in vars(found) if not n.startswith("_")))
                or "Define it there, at the top of the module, or name another.",
            )
        found = getattr(found, part)
    return found


def _import(module: str, reference: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(error.name + ".")):
            raise _no_module(error.name, reference) from None
        raise _broken(module, reference, error) from error
    except Exception as error:
        raise _broken(module, reference, error) from error


def _no_module(missing: str, reference: str) -> CodeReferenceError:
    parent, _, name = missing.rpartition(".")
    hint = _suggest(name, _modules_in(parent))
    return CodeReferenceError(
        f"{reference}: there is no module {missing!r}",
        hint=hint
        or "Module names are relative to the project root: configs/mine.py is configs.mine.",
    )


def _modules_in(parent: str) -> list[str]:
    """List the modules beside a missing one."""
    if not parent:
        return [found.name for found in pkgutil.iter_modules()]
    try:
        path = importlib.import_module(parent).__path__
    except (ImportError, AttributeError):
        return []
    return [found.name for found in pkgutil.iter_modules(path)]


def _broken(module: str, reference: str, error: Exception) -> CodeReferenceError:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    if isinstance(error, SyntaxError):
        where = f" ({error.filename}, line {error.lineno})"
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    return CodeReferenceError(
        f"{reference}: importing {module} raised {type(error).__name__}: {said}{where}",
        hint=f"Mend it; `python -c 'import {module}'` shows the whole traceback.",
    )


def _called(thing: Any) -> str:
    return f"module {thing.__name__}" if isinstance(thing, ModuleType) else repr(thing)


def _suggest(name: str, known: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean {close[0]!r}?" if close else None
