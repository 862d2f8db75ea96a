"""Write, then publish: files on a branch of one run's own, merged by one act."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from raypipe.engine.records import Actor
from raypipe.errors import NotFound
from raypipe.fault_points import fault_point
from raypipe.store.versions import VersionStore

RUN = "raypipe.run"
"""Name under which a commit says which run made it."""
MOST = 50
"""Files whose digests a commit says itself; those of more are in its list of objects alone."""


@dataclass(frozen=True, kw_only=True)
class OwnBranch:
    """A branch that one run writes to; nothing is copied to make it, and nobody else sees it."""

    versions: VersionStore
    name: str
    into: str
    """The branch that it came from, and that it is merged into."""
    run: str
    actor: Actor

    def write(
        self, files: Mapping[str, Path], message: str, meta: Mapping[str, str] | None = None
    ) -> str:
        """Commit files; the commit says which run they are of, and the digest of each."""
        stored = self.versions.put_all(self.name, files)
        digests = {f"raypipe.object.{one.path}": one.object_id for one in stored[:MOST]}
        said = {RUN: self.run, **digests, **(meta or {})}
        return self.versions.commit(self.name, message, self.actor, said)

    def publish(self, message: str) -> str:
        """Merge all of it by one act, and forget the branch; return the new head."""
        said = {RUN: self.run}
        head = self.versions.merge(self.name, self.into, self.actor, message, said)
        fault_point("branch.published")
        with suppress(NotFound):
            self.versions.delete_branch(self.name)
        return head


def own_branch(
    versions: VersionStore, into: str, run: str, actor: Actor, *, fresh: bool = True
) -> OwnBranch:
    """Give a run its branch.

    One that is there of an attempt that was killed is begun again from the newest commit; with
    `fresh` false it goes on with what it holds.
    """
    name = f"run-{run}"
    there = name in versions.branches()
    if there and fresh:
        versions.delete_branch(name)
    if not there or fresh:
        versions.create_branch(name, into)
    return OwnBranch(versions=versions, name=name, into=into, run=run, actor=actor)
