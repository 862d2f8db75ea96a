"""The environment of deepchecks: found, or made whole and then put in its place."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from raypipe.config.deepchecks import DeepchecksConfig
from raypipe.errors import StoreError, UsageError
from raypipe.values.kinds import aside

VARIABLE = "RAYPIPE_DEEPCHECKS"
"""Names the environment's folder, before settings do."""
CONSTRAINTS = Path(__file__).with_name("constraints.txt")
RUNNER = Path(__file__).with_name("runner.py")
MARKER = "raypipe.json"
"""File of an environment that is whole; it says what it was made of."""
PYTHONS = ((3, 11), (3, 12))
WANTED = ("deepchecks", "pyarrow", "setuptools")
_ASKED = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
_PROVEN = "import deepchecks.tabular.suites, pyarrow.parquet"
HINT = "`raypipe checks install` makes it, with Python 3.11 or 3.12."


@dataclass(frozen=True, kw_only=True)
class Environment:
    """An environment that is whole; in keys it counts as what is installed and what runs in it."""

    packages: str
    runner: str
    folder: str = field(metadata=aside())

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return Path(self.folder) / "bin" / "python"


def environment_folder(given: str | None = None) -> Path:
    """Return where the environment is: the variable, the settings, or the user's cache."""
    if named := os.environ.get(VARIABLE) or given:
        return Path(named).expanduser().absolute()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return cache / "raypipe" / f"deepchecks-{digest_of(CONSTRAINTS)[:12]}"


def find_environment(given: str | None = None) -> Environment | str:
    """Return the environment, or in a sentence why there is none."""
    return environment_in(environment_folder(given))


def environment_in(folder: Path) -> Environment | str:
    """Return the environment of a folder, or in a sentence why it holds none."""
    try:
        made = json.loads((folder / MARKER).read_text(encoding="utf-8"))["constraints"]
    except (OSError, ValueError, KeyError, TypeError):
        return f"deepchecks is not installed: there is no environment in {str(folder)!r}."
    if made != digest_of(CONSTRAINTS):
        return f"the environment in {str(folder)!r} was made of other versions than these."
    if not os.access(folder / "bin" / "python", os.X_OK):  # its Python may have been removed
        return f"the environment in {str(folder)!r} has no Python any more."
    return Environment(packages=made, runner=digest_of(RUNNER), folder=str(folder))


def usable(settings: DeepchecksConfig) -> Environment | str:
    """Return the environment that a run uses, or why none; UsageError where it is required."""
    if settings.use == "off":
        return ""
    found = find_environment(settings.environment)
    if isinstance(found, str) and settings.use == "required":
        raise UsageError(f"validation.deepchecks is `required`, but {found}", hint=HINT)
    return found


def install(
    folder: Path, *, python: str | None = None, say: Callable[[str], None] = lambda text: None
) -> bool:
    """Make the environment, if it is not there; say whether it was made.

    It is made beside its place and proven by an import, then moved there: half of one is never
    taken for whole. UsageError if no Python suits, StoreError with pip's words if that fails.
    """
    if not isinstance(environment_in(folder), str):
        return False
    chosen = _python(python)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{str(folder.parent)!r} cannot be made: {error.strerror}") from error
    with _alone(folder):
        if not isinstance(environment_in(folder), str):
            return False  # somebody else made it meanwhile
        _require_own(folder)
        say(f"Making {folder} with {chosen}; that takes a minute or two.")
        _make(folder, chosen)
    return True


def _make(folder: Path, python: str) -> None:
    aside = folder.with_name(f"{folder.name}.making")
    shutil.rmtree(aside, ignore_errors=True)  # of one that was killed
    own = str(aside / "bin" / "python")
    pip = [own, "-m", "pip", "install", "--quiet", "--constraint", str(CONSTRAINTS)]
    try:
        _call([python, "-m", "venv", str(aside)], "a virtual environment cannot be made")
        _call([*pip, *WANTED], "pip could not install deepchecks")
        _call([own, "-W", "ignore", "-c", _PROVEN], "deepchecks is installed, but does not start")
        made = {"constraints": digest_of(CONSTRAINTS)}
        (aside / MARKER).write_text(json.dumps(made), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _require_own(folder: Path) -> None:
    """Raise UsageError where there is something that is no environment: it would be removed."""
    if folder.exists() and not (folder / "pyvenv.cfg").exists() and any(folder.iterdir()):
        raise UsageError(
            f"{str(folder)!r} is no virtual environment, and is not empty",
            hint="Name a folder of its own.",
        )


def _call(command: Sequence[str], fault: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, env=plain_environment())
    if ended.returncode != 0:
        lines = (ended.stderr.strip() or ended.stdout.strip()).splitlines()[-8:]
        raise StoreError(
            "\n".join([f"{fault}:", *(f"  {line}" for line in lines)]),
            hint="Nothing was left behind. pip asks the index that its own configuration names: "
            "`pip config list`.",
        )


def plain_environment() -> dict[str, str]:
    """Return this process's variables without those that lead a Python to other modules."""
    lead = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONSTARTUP")
    return {name: value for name, value in os.environ.items() if name not in lead}


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with folder.with_name(f"{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _python(given: str | None) -> str:
    """Return a Python of 3.11 or 3.12 that can make environments."""
    candidates = (given,) if given else (sys.executable, "python3.12", "python3.11", "python3")
    found = {}
    for candidate in candidates:
        if path := shutil.which(candidate):
            found[path] = _fault(path)
            if not found[path]:
                return path
    looked = "; ".join(f"{path}: {fault}" for path, fault in found.items())
    raise UsageError(
        f"deepchecks needs Python 3.11 or 3.12: {looked or f'there is no {candidates[-1]}'}",
        hint="Install one (Debian: python3.11 and python3.11-venv), or name it: "
        "raypipe checks install --python PATH",
    )


def _fault(python: str) -> str:
    """Return what keeps a Python from making the environment; empty if nothing does."""
    command = [python, "-c", _ASKED]
    ended = subprocess.run(command, capture_output=True, text=True, env=plain_environment())
    if ended.returncode != 0:
        lines = ended.stderr.strip().splitlines() or ["it does not start"]
        return f"it cannot make environments ({lines[-1]})"
    version = tuple(map(int, ended.stdout.split()))
    return "" if version in PYTHONS else f"it is Python {version[0]}.{version[1]}"


def digest_of(file: Path) -> str:
    """Return what a file counts as."""
    return hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()
