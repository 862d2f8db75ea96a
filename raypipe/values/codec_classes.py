"""Classes in manifests: by which name they are written, and which may be read back."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from inspect import signature
from typing import Any

from raypipe.errors import StoreError
from raypipe.values.kinds import ASIDE


@dataclass(frozen=True)
class Classes:
    """Names of classes: `module:qualname`, with the name of its file for `__main__`."""

    main: str | None
    """Name of the module that runs as `__main__`, where that is a file of the project's."""
    _named: dict[type, str] = field(default_factory=dict)

    def name(self, kind: type) -> str:
        """Return the name that a class is found again by; ValueError says why it would not be."""
        known = self._named.get(kind)
        if known is None:
            known = self._named[kind] = self._name(kind)
        return known

    def _name(self, kind: type) -> str:
        module, qualname = kind.__module__, kind.__qualname__
        if "<locals>" in qualname:
            raise ValueError(f"{qualname} is defined inside a function; define it in a module")
        if "[" in qualname:
            raise ValueError(f"{qualname} has no name of its own; make a subclass of it")
        if not isinstance(_attribute(sys.modules.get(module), qualname), type):
            raise ValueError(f"{module}:{qualname} cannot be imported; define it in a module")
        if _takes_more_than_it_keeps(kind):
            raise ValueError(f"{qualname} has an InitVar, which it does not keep; make it a field")
        return f"{self.main if module == '__main__' and self.main else module}:{qualname}"

    def find(self, name: str, allowed: Callable[[type], bool]) -> Any:
        """Import the class of a name; StoreError if it is not there, or is none of values."""
        module, _, qualname = name.partition(":")
        try:
            found = _attribute(self._module(module), qualname)
        except ImportError as error:
            raise _not_there(name, str(error)) from error
        if found is None:
            raise _not_there(name, f"{module} has no {qualname}")
        if not isinstance(found, type) or not allowed(found):
            raise StoreError(
                f"a manifest names {name}, which is no class of values",
                hint="it was renamed or replaced since: run what made the value again",
            )
        return found

    def _module(self, name: str) -> Any:
        if name == self.main and "__main__" in sys.modules:
            return sys.modules["__main__"]
        return importlib.import_module(name)


def _takes_more_than_it_keeps(kind: Any) -> bool:
    """Say whether a dataclass has an InitVar: given when it is made, and no field of it."""
    named = getattr(kind, "__dataclass_fields__", {})
    pseudo = named.keys() - {one.name for one in fields(kind)} if named else set()
    return bool(pseudo) and any(name in signature(kind).parameters for name in pseudo)


def _attribute(found: Any, qualname: str) -> Any:
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def _not_there(name: str, why: str) -> StoreError:
    return StoreError(
        f"{name}, the class of a kept value, is not there: {why}",
        hint="run what made the value again, or bring the class back",
    )


def is_model(kind: type) -> bool:
    """Say whether a class is a pydantic model, without importing pydantic."""
    return hasattr(kind, "__pydantic_fields__") and hasattr(kind, "model_construct")


def is_record(kind: type) -> bool:
    """Say whether values of a class are written down field by field."""
    return is_dataclass(kind) or is_model(kind)


@cache
def dataclass_fields(kind: Any) -> tuple[tuple[str, bool], ...]:
    """Return name and whether it is aside of each field that a dataclass is made from."""
    return tuple((one.name, bool(one.metadata.get(ASIDE))) for one in fields(kind) if one.init)
