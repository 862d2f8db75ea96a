"""One call of a step, wherever it runs: read what it is given, run it, publish what it gives."""

import errno
import importlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

from raypipe.engine.context import RuntimeKind, StepContext, append_event, within
from raypipe.engine.ports import Argument, Artifacts, CallOutcome, Codec, Published, StepCall
from raypipe.engine.records import ArtifactStat
from raypipe.engine.step import Step
from raypipe.errors import NotFound, PipelineError, RaypipeError, StepFailed, StoreError
from raypipe.fault_points import fault_point
from raypipe.runtime.audit import watching
from raypipe.runtime.imports import importing_from
from raypipe.runtime.limits import time_limit
from raypipe.runtime.printed import log_file, printing_to
from raypipe.runtime.processes import leaving_none
from raypipe.runtime.staying import staying
from raypipe.runtime.stop import finishing, interruptible

ENGINE = Path(__file__).parent.parent
ENDS = 1000
"""Letters at either end that are told of what an exception says."""
FULL = {errno.ENOSPC, errno.EDQUOT}


def execute(
    call: StepCall, codec: Codec, artifacts: Artifacts, runtime: RuntimeKind
) -> CallOutcome:
    """Run a call once, and publish its outputs; no process that it started lives on."""
    started = time.perf_counter()
    process = os.getpid()
    try:
        outputs = _attempt(call, codec, artifacts, runtime)
        return CallOutcome(id=call.id, outputs=outputs, seconds=time.perf_counter() - started)
    except KeyboardInterrupt:
        raise
    except BaseException as raised:
        error = _as_failure(call, raised)
        return CallOutcome(id=call.id, error=error, seconds=time.perf_counter() - started)
    finally:
        if os.getpid() != process:  # the step forked, and its child came back from it
            os._exit(1)


def _attempt(
    call: StepCall, codec: Codec, artifacts: Artifacts, runtime: RuntimeKind
) -> tuple[Published, ...]:
    handed = _Handed(artifacts, call.stats)
    context = StepContext(
        run=call.run,
        step=call.step,
        runtime=runtime,
        home=call.home,
        root=call.root,
        paths=_paths(call),
        scratch=call.scratch,
        events=call.events,
    )
    with importing_from(context.paths):
        printed = log_file(call.home, call.run, call.step)
        warn = _warning(call)
        with (
            within(context, _taking(call, codec, artifacts), _telling(call)),
            printing_to(
                printed,
                aloud=runtime == "inline",
                step=call.step,
                attempt=call.attempt,
                warn=warn,
            ),
            leaving_none(f"{call.run}:{call.step}"),
            interruptible(),
            time_limit(call, _giving_up(call, runtime), watched=runtime == "ray", warn=warn),
        ):
            function = call.function or find_function(call.target)
            arguments = {
                name: _value(argument, codec, handed) for name, argument in call.arguments.items()
            }
            kept_here = staying() if runtime == "inline" else nullcontext()
            with kept_here, watching(call, context.paths) as watch:
                try:
                    returned = function(**arguments)
                finally:
                    handed.check(call)
            if watch is not None:
                watch.report()
    return tuple(_publish(call, value, codec, artifacts) for value in _outputs(call, returned))


def _warning(call: StepCall) -> Callable[[str], None]:
    """Return what lets the driver warn of something."""

    def warn(text: str) -> None:
        append_event(call.events, {"event": "warning", "run": call.run, "text": text})

    return warn


def _taking(
    call: StepCall, codec: Codec, artifacts: Artifacts
) -> Callable[[int, Any], None] | None:
    """Return what publishes an item that is handed in, and tells the driver of it.

    A driver in this process looks at once, and prints where it did before the step began.
    """
    if call.batch is None:
        return None
    count = len(call.arguments[call.batch])
    tell = _telling(call)
    since = time.perf_counter()

    def take(item: int, value: Any) -> None:
        nonlocal since
        if not 0 <= item < count:
            raise StepFailed(
                f"step {call.step!r} handed in item {item}; it was given {count}, counted from 0"
            )
        with finishing():
            published = _publish(call, value, codec, artifacts)
            now = time.perf_counter()
            made = {"event": "made", "run": call.run, "item": item, "seconds": now - since}
            since = now
            append_event(call.events, {**made, **asdict(published)})
            fault_point("item.told")
            tell()

    return take


def _telling(call: StepCall) -> Callable[[], None]:
    """Return what lets a driver in this process look at once, where the step itself runs.

    It prints where it did before the step began.
    """
    thread, out, err = threading.get_ident(), sys.stdout, sys.stderr

    def tell() -> None:
        if call.listen is not None and thread == threading.get_ident():
            with redirect_stdout(out), redirect_stderr(err):
                call.listen()

    return tell


def _giving_up(call: StepCall, runtime: RuntimeKind) -> Callable[[StepFailed], None]:
    """Return what is done before the process of a step ends that heeds no timeout.

    The driver of a Ray task learns it from the file of events; one in this process records it.
    """

    def give_up(error: StepFailed) -> None:
        if runtime == "ray":
            append_event(call.events, {"event": "timeout", "run": call.run, "pid": os.getpid()})
            return
        said = f"raypipe: {error}, and does not heed it: its process ends"
        os.write(2, f"{said}\n→ {error.hint}\n".encode())
        if call.give_up is not None:
            telling = threading.Thread(target=call.give_up, args=(error,), daemon=True)
            telling.start()
            telling.join(2.0)  # the ledger may be in the hands of the step

    return give_up


def _paths(call: StepCall) -> tuple[str, ...]:
    """Return where the project's modules are; a relative root lies in the copy that Ray made."""
    above = Path.cwd() / call.root
    return tuple(str(above / folder) for folder in call.folders)


def find_function(target: str) -> Any:
    """Import a step's module and return its function."""
    module, _, name = target.partition(":")
    if "<locals>" in name:
        raise PipelineError(
            f"step {target!r} is defined inside a function, so that a worker cannot import it",
            hint="define it at the top of its module, or run with --runtime inline",
        )
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found.function if isinstance(found, Step) else found


class _Handed:
    """Artifacts as a call is given them, to see whether it left its files and folders alone."""

    def __init__(self, artifacts: Artifacts, known: Mapping[str, ArtifactStat]) -> None:
        self._artifacts = artifacts
        self._known = known
        self._given: dict[str, tuple[Path, ArtifactStat]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._artifacts, name)

    def path(self, digest: str) -> Path:
        """Return where a file or folder lies; StoreError if it is not as it was published."""
        path = self._artifacts.path(digest)
        stat = self._known.get(digest) or self._artifacts.stat(digest)
        if not self._artifacts.returned(stat):
            raise StoreError(
                f"{path.name!r} ({digest[:12]}) was changed after it was published",
                hint="a step wrote into what it was given; run again: it is made anew",
            )
        self._given[digest] = path, stat
        return path

    def check(self, call: StepCall) -> None:
        """Raise StepFailed if what the call was given has changed, and let nobody else have it."""
        for path, before in self._given.values():
            if not self._artifacts.returned(before):
                raise StepFailed(
                    f"step {call.step!r} changed {path.name!r}, which it was given",
                    step=call.step,
                    kind="InputChanged",
                    hint="copy it (shutil.copy, shutil.copytree) and change the copy; "
                    "what was changed is made anew",
                )


def _value(argument: Argument, codec: Codec, artifacts: Any) -> Any:
    match argument:
        case list():
            return [_value(item, codec, artifacts) for item in argument]
        case tuple():
            return tuple(_value(item, codec, artifacts) for item in argument)
        case dict():
            return {key: _value(item, codec, artifacts) for key, item in argument.items()}
        case _:
            return codec.decode(argument, artifacts)


def _outputs(call: StepCall, returned: Any) -> list[Any]:
    if call.batch is None:
        return [returned]
    asked = call.arguments[call.batch]
    if not isinstance(returned, list | tuple) or len(returned) != len(asked):
        given = (
            f"{len(returned)}" if isinstance(returned, list | tuple) else type(returned).__name__
        )
        raise StepFailed(
            f"step {call.step!r} is batched over {call.batch!r} and was given {len(asked)} items; "
            f"it must return a list of as many, not {given}"
        )
    return list(returned)


def _publish(call: StepCall, value: Any, codec: Codec, artifacts: Artifacts) -> Published:
    try:
        encoded = codec.encode(value)
    except (TypeError, NotFound) as error:
        raise StepFailed(
            f"step {call.step!r} returned what cannot be kept: {error}",
            step=call.step,
            kind=type(error).__name__,
            hint="return scalars, lists, dicts, dataclasses, pydantic models, Arrow tables, "
            "numpy arrays, torch tensors or pathlib.Path",
        ) from error
    stats = [
        artifacts.put_path(blob) if isinstance(blob, Path) else artifacts.put_bytes(blob)
        for blob in encoded.blobs
    ]
    root = artifacts.put_bytes(encoded.manifest, encoded.digest)
    fault_point("output.published")
    return Published(root=encoded.digest, artifacts=(root, *stats))


def _as_failure(call: StepCall, raised: BaseException) -> Exception:
    if isinstance(raised, RaypipeError):
        return raised
    if isinstance(raised, OSError) and raised.errno in FULL:
        where = f" at {raised.filename!r}" if raised.filename else ""
        return StoreError(
            f"step {call.step!r} cannot write{where}: {raised.strerror}",
            hint="free some space, then run again: what was recorded is kept",
        )
    return StepFailed(
        f"step {call.step!r} raised {type(raised).__name__}: {_said(raised)}",
        step=call.step,
        kind=type(raised).__name__,
        frames=_own_frames(raised),
        cause="raised",
        classes=_names(type(raised)),
    )


def _names(kind: type) -> tuple[str, ...]:
    """Return by what names `retry_on` may list an exception's class."""
    above = [one for one in kind.__mro__ if one is not object]
    return tuple(
        name for one in above for name in (one.__name__, f"{one.__module__}.{one.__qualname__}")
    )


def _said(raised: BaseException) -> str:
    """Return what an exception says, in its ends where that is long: it may hold all its data."""
    try:
        said = str(raised)
        cut = len(said) - 2 * ENDS
        return said if cut <= 0 else f"{said[:ENDS]} … ({cut:,} more) … {said[-ENDS:]}"
    except Exception as error:
        return f"(its text cannot be had: {type(error).__name__})"


def _own_frames(raised: BaseException) -> str:
    frames = traceback.extract_tb(raised.__traceback__)
    own = [frame for frame in frames if not _is_engine(frame.filename)]
    return "".join(traceback.format_list(own or frames))


def _is_engine(file: str) -> bool:
    if file.startswith("<frozen importlib") or "/importlib/" in file:
        return True
    return any(Path(file).is_relative_to(ENGINE / part) for part in ("engine", "runtime", "app"))
