"""What a version store promises: data under commits that never change, and branches that move."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from raypipe.engine.records import Actor
from raypipe.errors import NotFound, StoreError, UsageError

if TYPE_CHECKING:
    from raypipe.store.lakefs_access import LakeFSPlace

MAIN = "main"
"""The branch that every repository starts with."""


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """A file of a commit."""

    path: str
    """Path inside the repository."""
    object_id: str
    """`blake2b:…` of the bytes, or `etag:…` where the store knows no better."""
    size: int
    """Bytes."""
    at: str = field(default="", compare=False)
    """The commit or branch under which it is found, where the store needs that."""


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A state of the whole repository, and how it came about."""

    id: str
    parents: tuple[str, ...]
    """None for the first commit; two for a merge, that of the branch merged into first."""
    message: str
    actor: Actor
    time: float
    """Seconds since the epoch."""
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Diff:
    """How a commit differs from another, by path."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


class VersionStore(Protocol):
    """One repository of versioned files.

    A commit never changes. A branch moves from one commit to the next in one act, however many
    processes write to it. What is put on a branch is seen by nobody until it is committed. A ref is
    a branch, a tag, or a commit (its id, or the start of it if no other has the same); an unknown
    one is NotFound.
    """

    def resolve(self, ref: str) -> str:
        """Return the id of the commit that a ref names now."""
        ...

    def list(self, ref: str, prefix: str = "") -> tuple[StoredObject, ...]:
        """Return the files of a commit whose paths start so, in the order of their paths."""
        ...

    def location(self, stored: StoredObject) -> str:
        """Return where a file can be read, by any process: what `store.locations` opens."""
        ...

    def files(self, stored: Iterable[StoredObject]) -> tuple[Any, tuple[str, ...]]:
        """Return a pyarrow filesystem and the paths in it at which files are read, with no copy.

        It may be pickled, and then holds no credentials: each process finds its own.
        """
        ...

    def create_branch(self, name: str, source: str = MAIN) -> str:
        """Make a branch at a ref's commit; return that commit. UsageError if the name is taken."""
        ...

    def delete_branch(self, name: str) -> None:
        """Forget a branch, and what was put on it and not committed; its commits stay."""
        ...

    def put(self, branch: str, path: str, file: Path) -> StoredObject:
        """Stage a copy of a local file under a path; durable when this returns."""
        ...

    def put_all(self, branch: str, files: Mapping[str, Path]) -> tuple[StoredObject, ...]:
        """Stage copies of local files under their paths, several at a time."""
        ...

    def remove(self, branch: str, path: str) -> None:
        """Stage the removal of a path; NotFound if it is not there."""
        ...

    def commit(
        self, branch: str, message: str, actor: Actor, meta: Mapping[str, str] | None = None
    ) -> str:
        """Commit what is staged; return the new head, or the old one if nothing differs."""
        ...

    def merge(
        self,
        source: str,
        into: str,
        actor: Actor,
        message: str = "",
        meta: Mapping[str, str] | None = None,
    ) -> str:
        """Bring the changes of a ref into a branch; return the branch's head.

        Where that is enough it is moved forward, or by a commit of both, as the store does it.
        StoreError names the paths that both changed.
        """
        ...

    def revert(self, branch: str, commit: str, actor: Actor) -> str:
        """Undo one commit by another; return the new head. StoreError names paths changed since."""
        ...

    def diff(self, a: str, b: str) -> Diff:
        """Say what b adds to, removes from and changes in a."""
        ...

    def log(self, ref: str) -> tuple[Commit, ...]:
        """Return a commit and all before it, newest first."""
        ...

    def tag(self, name: str, ref: str) -> str:
        """Name a commit for ever; return the commit. UsageError if the name is taken."""
        ...

    def branches(self) -> dict[str, str]:
        """Return the commit of each branch."""
        ...

    def tags(self) -> dict[str, str]:
        """Return the commit of each tag."""
        ...


class RepositoryName(Protocol):
    """What of a dataset reference says which repository is meant; values.uri.DatasetUri fits."""

    @property
    def scheme(self) -> str: ...
    @property
    def repo(self) -> str: ...


def open_store(
    uri: RepositoryName,
    home: Path,
    *,
    create: bool = False,
    lakefs: "LakeFSPlace | None" = None,
) -> VersionStore:
    """Open the repository of a dataset reference; NotFound unless it exists or is to be created.

    `lakefs` is what settings say of the server; None: what the home was told last.
    """
    if uri.scheme == "lakefs":
        return _on_lakefs(uri, home, create, lakefs)
    from raypipe.store.versions_local import LocalVersions, is_repository

    folder = home / "versions" / uri.repo
    if not create and not is_repository(folder):
        raise NotFound(
            f"There is no repository {uri.repo!r} in {home / 'versions'}"
            + did_you_mean(uri.repo, repositories(home)),
            hint=f"Import data into it: raypipe data import FILE… --to local://{uri.repo}/{MAIN}",
        )
    return LocalVersions(folder)


def _on_lakefs(
    uri: RepositoryName, home: Path, create: bool, place: "LakeFSPlace | None"
) -> VersionStore:
    from raypipe.store.lakefs_access import bound_lakefs
    from raypipe.store.paths import HomePaths
    from raypipe.store.versions_lakefs import LakeFSVersions

    versions = LakeFSVersions(place or bound_lakefs(HomePaths(home)), uri.repo)
    versions.check(create=create)
    return versions


def repositories(home: Path) -> list[str]:
    """Return the names of the local repositories of a home."""
    from raypipe.store.versions_local import is_repository

    folder = home / "versions"
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if is_repository(entry))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?`, or what there is: the end of a message about an unknown name."""
    names = sorted(known)
    if close := difflib.get_close_matches(name, names, n=1):
        return f"; did you mean {close[0]!r}?"
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return f"; there is {shown}" if names else ""


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_name(name: str, kind: str) -> None:
    """Raise UsageError unless a branch or a tag can be called so: it must fit a reference."""
    if not _NAME.fullmatch(name) or len(name) == 64:
        raise UsageError(
            f"{name!r} cannot name a {kind}",
            hint="Use letters, digits, dots, dashes and underscores; a letter or digit first.",
        )


def check_path(path: str) -> None:
    """Raise UsageError unless a path stays inside the repository."""
    if any(part in ("", ".", "..") for part in path.split("/")) or "\0" in path:
        raise UsageError(
            f"{path!r} cannot be a path in a repository",
            hint="Write it relative to the repository, as in folder/file.parquet.",
        )


def both_changed(paths: Sequence[str], what: str) -> StoreError:
    """Say that a merge would lose something."""
    return StoreError(
        f"Cannot merge {what}: both sides changed {some(paths)}",
        hint="Make the change anew on a branch from the newest commit.",
    )


def uncommitted(branch: str, paths: Sequence[str]) -> StoreError:
    """Say that a branch holds what is not committed."""
    return StoreError(
        f"Branch {branch} holds changes that are not committed: {some(paths)}",
        hint="Commit them first.",
    )


def some(paths: Sequence[str]) -> str:
    """Return the first of many paths, and how many more there are."""
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return ", ".join(paths[:5]) + more
