"""A version store in a folder: files by their content, commits and refs in SQLite."""

import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from heapq import heappop, heappush
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raypipe.engine.records import Actor
from raypipe.errors import NotFound, StoreError, UsageError
from raypipe.fault_points import fault_point
from raypipe.store.versions import (
    MAIN,
    Commit,
    Diff,
    StoredObject,
    VersionStore,
    check_name,
    check_path,
    did_you_mean,
)
from raypipe.store.versions_local_objects import LocalObjects, faults, size_of, sync_folder
from raypipe.store.versions_local_rows import (
    Tree,
    all_commits,
    ancestors,
    canonical,
    combine,
    commit_row,
    common_ancestor,
    connect,
    digest_of,
    head_of,
    held_objects,
    make_tables,
    move,
    parents,
    refuse_staged,
    resolved,
    stage,
    staged_over,
    transaction,
    tree_of,
)

_AT_ONCE = 1000
"""Objects that are removed in one transaction; who writes waits so long."""
_NOBODY = Actor(user="raypipe", host="")


@dataclass(frozen=True, kw_only=True)
class Unreached:
    """Objects that nothing holds."""

    names: frozenset[str]
    """Digests of their bytes."""
    size: int
    seen: int
    """Number of the newest tree that was looked into; trees are never removed."""


def is_repository(folder: Path) -> bool:
    """Say whether a folder holds a repository."""
    return (folder / "refs.db").is_file()


class LocalVersions:
    """The repository in a folder, made where there is none; safe for many processes at once.

    Each method is one transaction: a process that is killed leaves refs as they were or as they
    should be.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._folder = folder.absolute()
        self._objects = LocalObjects(self._folder)
        self._aside = self._folder / "aside"
        self._now = now
        if not is_repository(folder):
            self._make()

    def resolve(self, ref: str) -> str:
        with self._database() as db:
            return resolved(db, ref)

    def list(self, ref: str, prefix: str = "") -> tuple[StoredObject, ...]:
        with self._database() as db:
            tree = tree_of(db, resolved(db, ref))
        return tuple(
            StoredObject(path=path, object_id=object_id, size=size)
            for path, (object_id, size) in sorted(tree.items())
            if path.startswith(prefix)
        )

    def location(self, stored: StoredObject) -> str:
        file = self._objects.file(stored.object_id)
        if not file.is_file():
            raise StoreError(
                f"The bytes of {stored.path} ({stored.object_id}) are gone from "
                f"{self._objects.folder}",
                hint="Import the file again; the same bytes take the same place.",
            )
        return str(file)

    def files(self, stored: Iterable[StoredObject]) -> tuple[Any, tuple[str, ...]]:
        from pyarrow.fs import LocalFileSystem

        return LocalFileSystem(), tuple(map(self.location, stored))

    def create_branch(self, name: str, source: str = MAIN) -> str:
        return self._name(name, "branch", source)

    def tag(self, name: str, ref: str) -> str:
        return self._name(name, "tag", ref)

    def delete_branch(self, name: str) -> None:
        if name == MAIN:
            raise UsageError(f"The branch {MAIN} stays: every other branch starts from it")
        with self._writing() as db:
            head_of(db, name)
            db.execute("DELETE FROM refs WHERE name = ?", (name,))

    def put(self, branch: str, path: str, file: Path) -> StoredObject:
        return self.put_all(branch, {path: file})[0]

    def put_all(self, branch: str, files: Mapping[str, Path]) -> tuple[StoredObject, ...]:
        for path in files:
            check_path(path)
        with self._database() as db:
            head_of(db, branch)
        kept = self._objects.keep(files)
        fault_point("import.object")
        while gone := self._stage(branch, kept):  # a collection of garbage came between
            kept |= self._objects.keep({path: files[path] for path in gone})
        return tuple(
            StoredObject(path=path, object_id=object_id, size=size)
            for path, (object_id, size) in kept.items()
        )

    def remove(self, branch: str, path: str) -> None:
        with self._writing() as db:
            tree = staged_over(db, branch, tree_of(db, head_of(db, branch)))
            if path not in tree:
                raise NotFound(f"Branch {branch} holds no {path!r}" + did_you_mean(path, tree))
            stage(db, branch, path, None, 0)

    def commit(
        self, branch: str, message: str, actor: Actor, meta: Mapping[str, str] | None = None
    ) -> str:
        with self._writing() as db:
            head = head_of(db, branch)
            before = tree_of(db, head)
            after = staged_over(db, branch, before)
            db.execute("DELETE FROM staged WHERE branch = ?", (branch,))
            if after == before:
                return head
            return self._advance(db, branch, after, (head,), message, actor, meta)

    def merge(
        self,
        source: str,
        into: str,
        actor: Actor,
        message: str = "",
        meta: Mapping[str, str] | None = None,
    ) -> str:
        with self._writing() as db:
            theirs, ours = resolved(db, source), head_of(db, into)
            history = parents(db)
            if theirs in ancestors(history, ours):
                return ours
            refuse_staged(db, into)
            if ours in ancestors(history, theirs):
                move(db, into, theirs, ours)
                return theirs
            base = tree_of(db, common_ancestor(history, ours, theirs))
            tree = combine(base, tree_of(db, ours), tree_of(db, theirs), f"{source} into {into}")
            said = message or f"Merge {source} into {into}"
            return self._advance(db, into, tree, (ours, theirs), said, actor, meta)

    def revert(self, branch: str, commit: str, actor: Actor) -> str:
        with self._writing() as db:
            head, undone = head_of(db, branch), commit_row(db, resolved(db, commit))
            if undone.id not in ancestors(parents(db), head):
                raise UsageError(
                    f"{undone.id[:12]} is no commit of {branch}, so it cannot be undone there"
                )
            if not undone.parents:
                raise UsageError("The first commit of a repository cannot be undone: it is empty")
            refuse_staged(db, branch)
            tree = combine(
                tree_of(db, undone.id),
                tree_of(db, head),
                tree_of(db, undone.parents[0]),
                f"the undoing of {undone.id[:12]} into {branch}",
            )
            if tree == tree_of(db, head):
                return head
            said = f"Revert {undone.id[:12]}: {undone.message}"
            return self._advance(
                db, branch, tree, (head,), said, actor, {"raypipe.reverts": undone.id}
            )

    def unreached(self) -> Unreached:
        """Return the objects that no commit holds and no branch has staged; nothing is removed."""
        with self._database() as db:
            (seen,) = db.execute("SELECT max(rowid) FROM trees").fetchone()
            held = held_objects(db, upto=seen)
        found = [file for file in self._objects if f"blake2b:{file.name}" not in held]
        names = frozenset(file.name for file in found)
        return Unreached(names=names, size=sum(map(size_of, found)), seen=seen)

    def collect(self, garbage: Unreached) -> int:
        """Remove what was found, but what was staged or committed since; return how many went.

        What is put meanwhile is looked at again in the transaction that stages it. So either its
        bytes are there then, and stay, or they are copied anew.
        """
        names, removed = sorted(garbage.names), 0
        for start in range(0, len(names), _AT_ONCE):
            with self._writing() as db:
                held = held_objects(db, after=garbage.seen)  # of what was seen none is garbage
                for name in names[start : start + _AT_ONCE]:
                    if f"blake2b:{name}" not in held:
                        self._objects.file(name).unlink(missing_ok=True)
                        fault_point("object.removed")
                        removed += 1
        return removed

    def diff(self, a: str, b: str) -> Diff:
        with self._database() as db:
            before, after = (tree_of(db, resolved(db, ref)) for ref in (a, b))
        return Diff(
            added=tuple(sorted(after.keys() - before.keys())),
            removed=tuple(sorted(before.keys() - after.keys())),
            changed=tuple(
                sorted(p for p in before.keys() & after.keys() if before[p][0] != after[p][0])
            ),
        )

    def log(self, ref: str) -> tuple[Commit, ...]:
        with self._database() as db:
            number, commits = all_commits(db)
            first = resolved(db, ref)
        seen, queue, found = {first}, [(-number[first], first)], []
        while queue:
            commit = commits[heappop(queue)[1]]
            found.append(commit)
            for parent in commit.parents:
                if parent not in seen:
                    seen.add(parent)
                    heappush(queue, (-number[parent], parent))
        return tuple(found)

    def branches(self) -> dict[str, str]:
        return self._refs("branch")

    def tags(self) -> dict[str, str]:
        return self._refs("tag")

    def _make(self) -> None:
        """Make the repository whole, then give it its name; of two processes, the first wins."""
        with faults(self._folder):
            self._objects.folder.mkdir(parents=True, exist_ok=True)
            self._aside.mkdir(exist_ok=True)
            aside = self._aside / uuid.uuid4().hex
            try:
                with closing(connect(aside)) as db, transaction(db):
                    make_tables(db)
                    start = self._record(db, {}, (), "The repository starts", _NOBODY, None)
                    db.execute("INSERT INTO refs VALUES (?, 'branch', ?)", (MAIN, start))
                fault_point("repository.aside")
                with suppress(FileExistsError):
                    os.link(aside, self._folder / "refs.db")
                sync_folder(self._folder)
            finally:
                aside.unlink(missing_ok=True)

    def _stage(self, branch: str, kept: Tree) -> tuple[str, ...]:
        """Stage objects; return the paths of those whose bytes are gone, and then stage none.

        Objects that nothing holds are removed in a transaction only, so that what is there now
        stays.
        """
        with self._writing() as db:
            head_of(db, branch)
            gone = tuple(
                p for p, entry in kept.items() if not self._objects.file(entry[0]).is_file()
            )
            for path, (object_id, size) in () if gone else kept.items():
                stage(db, branch, path, object_id, size)
        return gone

    def _name(self, name: str, kind: str, ref: str) -> str:
        check_name(name, kind)
        with self._writing() as db:
            commit = resolved(db, ref)
            taken = db.execute("SELECT kind, id FROM refs WHERE name = ?", (name,)).fetchone()
            if taken:
                raise UsageError(
                    f"{name!r} names a {taken[0]} already (at {taken[1][:12]})",
                    hint="Choose another name.",
                )
            db.execute("INSERT INTO refs VALUES (?, ?, ?)", (name, kind, commit))
        return commit

    def _refs(self, kind: str) -> dict[str, str]:
        with self._database() as db:
            return dict(
                db.execute("SELECT name, id FROM refs WHERE kind = ? ORDER BY name", (kind,))
            )

    def _advance(
        self,
        db: sqlite3.Connection,
        branch: str,
        tree: Tree,
        parents: tuple[str, ...],
        message: str,
        actor: Actor,
        meta: Mapping[str, str] | None,
    ) -> str:
        commit = self._record(db, tree, parents, message, actor, meta)
        fault_point("commit.recorded")
        move(db, branch, commit, parents[0])
        return commit

    def _record(
        self,
        db: sqlite3.Connection,
        tree: Tree,
        parents: tuple[str, ...],
        message: str,
        actor: Actor,
        meta: Mapping[str, str] | None,
    ) -> str:
        entries = canonical(tree)
        digest = digest_of("raypipe tree 1", entries)
        row = {
            "tree": digest,
            "parents": list(parents),
            "message": message,
            "actor": asdict(actor),
            "time": self._now(),
            "meta": dict(meta or {}),
        }
        commit = digest_of("raypipe commit 1", canonical(row))
        db.execute("INSERT OR IGNORE INTO trees VALUES (?, ?)", (digest, entries))
        db.execute(
            "INSERT OR IGNORE INTO commits (id, tree, parents, message, actor, time, meta) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (commit, *(canonical(v) if isinstance(v, list | dict) else v for v in row.values())),
        )
        return commit

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        path = self._folder / "refs.db"
        with faults(path), closing(connect(path)) as db:
            yield db

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Give a transaction that nobody else writes in: heads read in it stay heads to its end."""
        with self._database() as db, transaction(db):
            yield db


if TYPE_CHECKING:
    _fits: VersionStore = LocalVersions(Path())
