"""What a person asks for when planning or running."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """A target, and how it is to be run."""

    target: str | None = None
    """A settings file, or `my_flow.py[:pipeline]`; None: the one of the last run in this home."""
    sets: tuple[str, ...] = ()
    """`name=value` settings or parameters, each value a YAML scalar."""
    home: Path | None = None
    runtime: Literal["inline", "ray"] | None = None
    """"inline" or "ray"; None: what the settings say, inline for a script."""
    address: str | None = None
    shared: bool = False
    """The home is on a file system that each node of the cluster sees, whatever settings say."""
    force: tuple[str, ...] = ()
    strict: bool = False
    """A step that reads what it does not declare fails, whatever settings say."""
    resume: str | None = None
    """The run to go on from: with its code, parameters, settings and commits."""
    code: Literal["kept", "now"] | None = None
    """With `resume`: the code that was kept with that run, or that of now; None: what was kept."""
    by: str | None = None
    accept: tuple[str, ...] = ()
    """Anomalies that are expected, as KIND:COLUMN."""
    why: str | None = None
    """Why they are accepted."""
    command: str | None = None
    """What a person types to run it again; None: `raypipe run` with these words."""
