"""What a running step reads that it did not declare: files, environment variables, connections.

Heard by Python's audit hook and by its mapping of the environment. What C code opens or asks for by
itself, what a child process does, and what a library reads for itself while it is imported, is not
heard; nor is what a module read before the step began.
"""

import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from raypipe.engine.ports import StepCall
from raypipe.errors import StepFailed

PACKAGE = str(Path(__file__).parent.parent)
MACHINE = ("/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr")
"""Folders of the system's own, which tell of the machine."""
QUIET = frozenset(
    {"HOME", "LOGNAME", "PATH", "PWD", "SHELL", "TEMP", "TERM", "TMP", "TMPDIR", "USER"}
)
"""Variables that tell of the machine, or of who is logged in."""
OWN = ("RAY_", "RAYPIPE_")
LOGGER = "raypipe.audit"
"""Name of the logger that tells of it."""
UNDECLARED = "Undeclared"
"""Kind of the failure of a strict call."""
MOST = 20
"""Names of one kind that are told."""
_BETWEEN = frozenset({os.__file__, "<frozen os>", "<frozen _collections_abc>"})
"""Code through which the environment is read: `os.getenv`, `os.environ.get`."""
_EVENTS = frozenset({"open", "os.rename", "sqlite3.connect", "socket.connect"})


class Watch:
    """Hears what one call of a step reads, where the project's code asked for it."""

    def __init__(self, call: StepCall, folders: tuple[str, ...]) -> None:
        """`folders` are those with the project's code."""
        self._call = call
        self._root = _whole(call.root)
        self._folders = tuple(f"{folder}/" for folder in folders)
        own = {sys.prefix, sys.base_prefix, PACKAGE, str(call.home), str(call.scratch), *MACHINE}
        self._quiet = tuple(f"{_whole(folder)}/" for folder in own)
        kept = [name.partition(":") for name in call.declared]
        self._files = {_whole(Path(self._root, name)) for kind, _, name in kept if kind == "file"}
        self._variables = {name for kind, _, name in kept if kind == "env"}
        self._opened: dict[str, None] = {}
        self._written: set[str] = set()
        self._read: dict[str, None] = {}
        self._connected: dict[str, None] = {}
        self._kinds: dict[str, str] = {}
        self._started = time.time_ns()

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        """Take note of an audit event."""
        match event:
            case "open":
                self._hear_open(args[0], args[2])
            case "sqlite3.connect":
                self._hear_open(args[0], os.O_RDONLY)
            case "os.rename" if _whole(args[0]) in self._written:
                self._written.add(_whole(args[1]))
            case "socket.connect" if isinstance(args[1], tuple):
                if self._asked_by_project():
                    host, port, *_ = args[1]
                    self._connected[f"{host}:{port}"] = None

    def _hear_open(self, path: Any, flags: int) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return
        name = _whole(path)
        if flags & (os.O_CREAT | os.O_TRUNC) or flags & os.O_ACCMODE == os.O_WRONLY:
            self._written.add(name)
        elif name in self._opened or name in self._written or name in self._files:
            return
        elif not self._is_quiet(name) and self._asked_by_project():
            self._opened[name] = None

    def _is_quiet(self, name: str) -> bool:
        """Say whether a file is raypipe's, the system's, a package's, or code of the project."""
        is_code = name.endswith((".py", ".pyc")) and name.startswith(self._folders)
        return is_code or name.startswith(self._quiet)

    def hear_variable(self, name: str | bytes) -> None:
        """Take note of an environment variable that is read."""
        name = os.fsdecode(name)
        if name in self._variables or name in QUIET or name.startswith(OWN):
            return
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and frame.f_code.co_filename in _BETWEEN:
            frame = frame.f_back
        if frame is not None and self._kind(frame.f_code.co_filename) == "project":
            self._read[name] = None

    def hear_own_variable(self, name: str | bytes) -> None:
        """Take note of an environment variable that the step sets: it may read it."""
        self._variables.add(os.fsdecode(name))

    def _asked_by_project(self) -> bool:
        """Say whether the project's code asked for it, by itself or by a library that it calls."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            kind = self._kind(frame.f_code.co_filename)
            if kind:
                return kind == "project"
            frame = frame.f_back
        return False

    def _kind(self, file: str) -> str:
        kind = self._kinds.get(file)
        if kind is None:
            kind = self._kinds[file] = self._kind_of(file)
        return kind

    def _kind_of(self, file: str) -> str:
        if file.startswith("<frozen importlib"):
            return "import"
        if file.startswith(f"{PACKAGE}/"):
            return "" if file == __file__ else "raypipe"
        is_ours = file.startswith(self._folders) and not file.startswith(self._quiet)
        return "project" if is_ours and "site-packages" not in file else ""

    # --- what is told

    def undeclared(self) -> list[tuple[str, str]]:
        """Return what was read and not declared: kind and name."""
        files = [self._shown(name) for name in self._opened if self._was_there(name)]
        variables = [] if self._is_all(self._read) else [*self._read]
        addresses = [] if self._call.expires else [*self._connected]
        every = {"file": files, "env": variables, "socket": addresses}
        return [(kind, name) for kind, names in every.items() for name in names[:MOST]]

    def _was_there(self, name: str) -> bool:
        """Say whether a file is one that was there before the step; it may have written it."""
        try:
            found = Path(name).stat()
        except OSError:
            return False
        is_old = found.st_mtime_ns < self._started and name not in self._written
        return is_old and stat.S_ISREG(found.st_mode)

    def _shown(self, name: str) -> str:
        return name.removeprefix(f"{self._root}/")

    def _is_all(self, names: dict[str, None]) -> bool:
        """Say whether all variables were read at once, to hand them on."""
        told = {name for name in os.environ if name not in QUIET and not name.startswith(OWN)}
        return len(told) > 3 and told <= names.keys()

    def report(self) -> None:
        """Tell what was not declared; where the call is strict, StepFailed instead."""
        found = self.undeclared()
        if not found:
            return
        step = self._call.step
        if self._call.audit == "strict":
            kind, name = found[0]
            more = f", and {len(found) - 1} more" if len(found) > 1 else ""
            raise StepFailed(
                f"step {step!r} {_did(kind, name)}, which it does not declare{more}",
                step=step,
                kind=UNDECLARED,
                hint=_hint(kind, name),
            )
        import logging

        for kind, name in found:
            said = f"step {step!r} {_did(kind, name)}, which it does not declare"
            logging.getLogger(LOGGER).warning("%s: %s", said, _hint(kind, name))


def _whole(path: Any) -> str:
    return os.path.abspath(os.fsdecode(path))  # noqa: PTH100, links are left as they are


def _did(kind: str, name: str) -> str:
    match kind:
        case "file":
            return f"read the file {name!r}"
        case "env":
            return f"read the environment variable {name!r}"
    return f"connected to {name}"


def _hint(kind: str, name: str) -> str:
    if kind == "socket":
        return "give it expires=… or cache=False, for what comes from there may change"
    return f'give it depends_on=("{kind}:{name}",)'


_watch: Watch | None = None
"""What hears the call that runs in this process."""
_is_installed = False


def _hear(event: str, args: tuple[Any, ...]) -> None:
    if _watch is not None and event in _EVENTS:
        _watch.hear(event, args)


@contextmanager
def watching(call: StepCall, folders: tuple[str, ...]) -> Iterator[Watch | None]:
    """Hear what the body reads; nothing where the call is not to be audited."""
    global _watch, _is_installed
    if call.audit == "off":
        yield None
        return
    if not _is_installed:
        sys.addaudithook(_hear)
        _is_installed = True
    before, watch = _watch, Watch(call, folders)
    mapping = type(os.environ)
    get, put = mapping.__getitem__, mapping.__setitem__

    def noting(self: Any, name: Any) -> Any:
        watch.hear_variable(name)
        return get(self, name)

    def setting(self: Any, name: Any, value: Any) -> None:
        watch.hear_own_variable(name)
        put(self, name, value)

    _watch = watch
    mapping.__getitem__, mapping.__setitem__ = noting, setting  # type: ignore[method-assign]
    try:
        yield watch
    finally:
        _watch = before
        mapping.__getitem__, mapping.__setitem__ = get, put  # type: ignore[method-assign]
