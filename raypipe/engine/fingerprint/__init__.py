"""The code that a step can reach, as a digest: read from source, nothing is imported."""

from raypipe.engine.fingerprint.reach import fingerprint, is_neutral
from raypipe.engine.fingerprint.symbols import ModuleTable, Sources, parse_module

__all__ = ["ModuleTable", "Sources", "fingerprint", "is_neutral", "parse_module"]
