"""The code that a step can reach, as a digest: read from source, nothing is imported."""

from raypipe.engine.fingerprint.reach import Tracer, fingerprint
from raypipe.engine.fingerprint.resolve import is_neutral
from raypipe.engine.fingerprint.symbols import ModuleTable, Sources

__all__ = ["ModuleTable", "Sources", "Tracer", "fingerprint", "is_neutral"]
