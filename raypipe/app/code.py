"""The project's code that a run uses: kept with the run, given to workers, read back by digest."""

from pathlib import Path
from typing import TYPE_CHECKING

from raypipe.errors import PipelineError, StoreError, UsageError
from raypipe.fault_points import fault_point
from raypipe.store.snapshot import Snapshot, Snapshots, contents, unpack

if TYPE_CHECKING:
    from raypipe.app.assemble import Workshop


class UsedCode:
    """The snapshot that a run uses; taken before the first step is executed, else never."""

    def __init__(self, workshop: "Workshop", run: str, pinned: str = "") -> None:
        """`pinned` is the digest of the snapshot where the run goes on with one."""
        self._workshop = workshop
        self._run = run
        self._kept: Snapshot | None = None
        self.digest = pinned
        self._pinned = bool(pinned)

    def keep(self) -> None:
        """Keep the code as it is now, once a run; UsageError where there is too much of it."""
        if self.digest:
            return
        workshop = self._workshop
        snapshots = Snapshots(workshop.root, workshop.artifacts, workshop.paths.index)
        self._kept = snapshots.take()
        self.digest = self._kept.digest
        workshop.ledger.keep_code(self._run, self.digest)
        fault_point("code.kept")

    def folder(self) -> Path:
        """Return a folder with the code, for workers.

        PipelineError if it is not the code that the steps were decided by.
        """
        self.keep()
        if self._kept is not None:
            self._check_decided_by(self._kept)
        return code_folder(self._workshop, self.digest)

    def _check_decided_by(self, kept: Snapshot) -> None:
        read = self._workshop.sources.seals()
        moved = [name for name, seal in read.items() if kept.seals.get(name, seal) != seal]
        if moved:
            raise PipelineError(
                f"{moved[0]!r} changed after it was looked at and before workers were given it",
                hint="run again",
            )


def code_folder(workshop: "Workshop", digest: str) -> Path:
    """Return a folder with the files of a snapshot; StoreError if the snapshot is gone or torn."""
    return unpack(packed_code(workshop, digest), workshop.paths.code / digest[:32] / "code")


def packed_code(workshop: "Workshop", digest: str) -> bytes:
    """Return a snapshot as it is kept; StoreError if it is gone or torn."""
    try:
        return workshop.artifacts.read(digest)
    except StoreError as error:
        raise StoreError(
            f"the code of the run is gone or torn: {error}",
            hint="go on with the code of now: --code now",
        ) from error


def write_out(packed: bytes, out: Path) -> int:
    """Write the files of a snapshot to a folder that is not there or empty; return how many."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(
            f"{str(out)!r} is there already", hint="name a folder that is not there, or empty"
        )
    files = contents(packed)
    unpack(packed, out)
    return len(files)
