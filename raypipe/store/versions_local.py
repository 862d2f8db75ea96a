"""A version store in a folder: files by their content, commits and refs in SQLite."""

import hashlib
import json
import os
import re
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from heapq import heappop, heappush
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raypipe.engine.records import Actor, Json
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
    some,
)

Tree = dict[str, tuple[str, int]]
"""Path to (object id, size)."""

_COMMIT = re.compile(r"[0-9a-f]{6,64}")
_OBJECT = re.compile(r"[0-9a-f]{64}")
_BLOCK = 1 << 20
_AT_ONCE = 1000
"""Objects that are removed in one transaction; who writes waits so long."""
_ASIDE_LIFETIME = 86_400.0
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
        self._objects = self._folder / "objects"
        self._aside = self._folder / "aside"
        self._now = now
        if not is_repository(folder):
            self._make()

    def resolve(self, ref: str) -> str:
        with self._database() as db:
            return _resolve(db, ref)

    def list(self, ref: str, prefix: str = "") -> tuple[StoredObject, ...]:
        with self._database() as db:
            tree = _tree_of(db, _resolve(db, ref))
        return tuple(
            StoredObject(path=path, object_id=object_id, size=size)
            for path, (object_id, size) in sorted(tree.items())
            if path.startswith(prefix)
        )

    def location(self, stored: StoredObject) -> str:
        file = self._file(stored.object_id)
        if not file.is_file():
            raise StoreError(
                f"The bytes of {stored.path} ({stored.object_id}) are gone from {self._objects}",
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
            _head(db, name)
            db.execute("DELETE FROM refs WHERE name = ?", (name,))

    def put(self, branch: str, path: str, file: Path) -> StoredObject:
        return self.put_all(branch, {path: file})[0]

    def put_all(self, branch: str, files: Mapping[str, Path]) -> tuple[StoredObject, ...]:
        for path in files:
            check_path(path)
        with self._database() as db:
            _head(db, branch)
        kept = self._keep(files)
        fault_point("import.object")
        while gone := self._stage(branch, kept):  # a collection of garbage came between
            kept |= self._keep({path: files[path] for path in gone})
        return tuple(
            StoredObject(path=path, object_id=object_id, size=size)
            for path, (object_id, size) in kept.items()
        )

    def remove(self, branch: str, path: str) -> None:
        with self._writing() as db:
            tree = _staged_over(db, branch, _tree_of(db, _head(db, branch)))
            if path not in tree:
                raise NotFound(f"Branch {branch} holds no {path!r}" + did_you_mean(path, tree))
            _stage(db, branch, path, None, 0)

    def commit(
        self, branch: str, message: str, actor: Actor, meta: Mapping[str, str] | None = None
    ) -> str:
        with self._writing() as db:
            head = _head(db, branch)
            before = _tree_of(db, head)
            after = _staged_over(db, branch, before)
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
            theirs, ours = _resolve(db, source), _head(db, into)
            history = _parents(db)
            if theirs in _ancestors(history, ours):
                return ours
            _refuse_staged(db, into)
            if ours in _ancestors(history, theirs):
                _move(db, into, theirs, ours)
                return theirs
            base = _tree_of(db, _common_ancestor(history, ours, theirs))
            tree = _combine(base, _tree_of(db, ours), _tree_of(db, theirs), f"{source} into {into}")
            said = message or f"Merge {source} into {into}"
            return self._advance(db, into, tree, (ours, theirs), said, actor, meta)

    def revert(self, branch: str, commit: str, actor: Actor) -> str:
        with self._writing() as db:
            head, undone = _head(db, branch), _commit(db, _resolve(db, commit))
            if undone.id not in _ancestors(_parents(db), head):
                raise UsageError(
                    f"{undone.id[:12]} is no commit of {branch}, so it cannot be undone there"
                )
            if not undone.parents:
                raise UsageError("The first commit of a repository cannot be undone: it is empty")
            _refuse_staged(db, branch)
            tree = _combine(
                _tree_of(db, undone.id),
                _tree_of(db, head),
                _tree_of(db, undone.parents[0]),
                f"the undoing of {undone.id[:12]} into {branch}",
            )
            if tree == _tree_of(db, head):
                return head
            said = f"Revert {undone.id[:12]}: {undone.message}"
            return self._advance(
                db, branch, tree, (head,), said, actor, {"raypipe.reverts": undone.id}
            )

    def unreached(self) -> Unreached:
        """Return the objects that no commit holds and no branch has staged; nothing is removed."""
        with self._database() as db:
            (seen,) = db.execute("SELECT max(rowid) FROM trees").fetchone()
            held = _held(db, upto=seen)
        found = [file for file in self._kept() if f"blake2b:{file.name}" not in held]
        names = frozenset(file.name for file in found)
        return Unreached(names=names, size=sum(map(_size, found)), seen=seen)

    def collect(self, garbage: Unreached) -> int:
        """Remove what was found, but what was staged or committed since; return how many went.

        What is put meanwhile is looked at again in the transaction that stages it. So either its
        bytes are there then, and stay, or they are copied anew.
        """
        names, removed = sorted(garbage.names), 0
        for start in range(0, len(names), _AT_ONCE):
            with self._writing() as db:
                held = _held(db, after=garbage.seen)  # of what was seen none is garbage
                for name in names[start : start + _AT_ONCE]:
                    if f"blake2b:{name}" not in held:
                        self._file(name).unlink(missing_ok=True)
                        fault_point("object.removed")
                        removed += 1
        return removed

    def _kept(self) -> Iterator[Path]:
        for folder in sorted(self._objects.iterdir()):
            yield from sorted(file for file in folder.iterdir() if _OBJECT.fullmatch(file.name))

    def diff(self, a: str, b: str) -> Diff:
        with self._database() as db:
            before, after = (_tree_of(db, _resolve(db, ref)) for ref in (a, b))
        return Diff(
            added=tuple(sorted(after.keys() - before.keys())),
            removed=tuple(sorted(before.keys() - after.keys())),
            changed=tuple(
                sorted(p for p in before.keys() & after.keys() if before[p][0] != after[p][0])
            ),
        )

    def log(self, ref: str) -> tuple[Commit, ...]:
        with self._database() as db:
            number, commits = _all_commits(db)
            first = _resolve(db, ref)
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
        with _faults(self._folder):
            self._objects.mkdir(parents=True, exist_ok=True)
            self._aside.mkdir(exist_ok=True)
            aside = self._aside / uuid.uuid4().hex
            try:
                with closing(_connect(aside)) as db, _transaction(db):
                    _make_tables(db)
                    start = self._record(db, {}, (), "The repository starts", _NOBODY, None)
                    db.execute("INSERT INTO refs VALUES (?, 'branch', ?)", (MAIN, start))
                fault_point("repository.aside")
                with suppress(FileExistsError):
                    os.link(aside, self._folder / "refs.db")
                _sync_folder(self._folder)
            finally:
                aside.unlink(missing_ok=True)

    def _file(self, object_id: str) -> Path:
        digest = object_id.removeprefix("blake2b:")
        return self._objects / digest[:2] / digest

    def _keep(self, files: Mapping[str, Path]) -> Tree:
        """Copy files to where their content belongs; all of it is durable then."""
        with _faults(self._aside):
            self._sweep()
        kept: Tree = {}
        folders = set()
        for path, file in files.items():
            with _faults(file):
                kept[path], place = self._copy_in(file)
                folders.add(place.parent)
        with _faults(self._objects):
            for folder in (*folders, self._objects):
                _sync_folder(folder)
        return kept

    def _copy_in(self, file: Path) -> tuple[tuple[str, int], Path]:
        """Copy a file aside, make its bytes durable, and move it to its place."""
        aside = self._aside / uuid.uuid4().hex
        try:
            digest, size = _copy(file, aside)
            place = self._file(digest)
            if not (place.is_file() and place.stat().st_size == size):
                place.parent.mkdir(exist_ok=True)
                aside.replace(place)
        finally:
            aside.unlink(missing_ok=True)
        return (f"blake2b:{digest}", size), place

    def _sweep(self) -> None:
        """Remove what killed processes left aside."""
        for left in self._aside.iterdir():
            try:
                if time.time() - left.stat().st_mtime > _ASIDE_LIFETIME:
                    left.unlink(missing_ok=True)
            except FileNotFoundError:
                continue

    def _stage(self, branch: str, kept: Tree) -> tuple[str, ...]:
        """Stage objects; return the paths of those whose bytes are gone, and then stage none.

        Objects that nothing holds are removed in a transaction only, so that what is there now
        stays.
        """
        with self._writing() as db:
            _head(db, branch)
            gone = tuple(p for p, entry in kept.items() if not self._file(entry[0]).is_file())
            for path, (object_id, size) in () if gone else kept.items():
                _stage(db, branch, path, object_id, size)
        return gone

    def _name(self, name: str, kind: str, ref: str) -> str:
        check_name(name, kind)
        with self._writing() as db:
            commit = _resolve(db, ref)
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
        _move(db, branch, commit, parents[0])
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
        entries = _canonical(tree)
        digest = _digest("raypipe tree 1", entries)
        row = {
            "tree": digest,
            "parents": list(parents),
            "message": message,
            "actor": asdict(actor),
            "time": self._now(),
            "meta": dict(meta or {}),
        }
        commit = _digest("raypipe commit 1", _canonical(row))
        db.execute("INSERT OR IGNORE INTO trees VALUES (?, ?)", (digest, entries))
        db.execute(
            "INSERT OR IGNORE INTO commits (id, tree, parents, message, actor, time, meta) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (commit, *(_canonical(v) if isinstance(v, list | dict) else v for v in row.values())),
        )
        return commit

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        path = self._folder / "refs.db"
        with _faults(path), closing(_connect(path)) as db:
            yield db

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Give a transaction that nobody else writes in: heads read in it stay heads to its end."""
        with self._database() as db, _transaction(db):
            yield db


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=60, isolation_level=None)
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    return db


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _make_tables(db: sqlite3.Connection) -> None:
    text = Path(__file__).with_suffix(".sql").read_text("utf-8")
    for statement in re.sub(r"--.*", "", text).split(";"):
        db.execute(statement)


@contextmanager
def _faults(what: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"The version store failed at {what}: {error}",
            hint="Look whether the disk is full and the folder yours.",
        ) from error


def _copy(source: Path, target: Path) -> tuple[str, int]:
    digest, size = hashlib.blake2b(digest_size=32), 0
    with source.open("rb") as reader, target.open("xb") as writer:
        while block := reader.read(_BLOCK):
            digest.update(block)
            size += writer.write(block)
        writer.flush()
        os.fsync(writer.fileno())
        os.fchmod(writer.fileno(), 0o444)
    return digest.hexdigest(), size


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _canonical(value: Json) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _digest(tag: str, text: str) -> str:
    return hashlib.blake2b(f"{tag}\n{text}".encode(), digest_size=32).hexdigest()


def _resolve(db: sqlite3.Connection, ref: str) -> str:
    if row := db.execute("SELECT id FROM refs WHERE name = ?", (ref,)).fetchone():
        return str(row[0])
    if _COMMIT.fullmatch(ref):
        rows = db.execute("SELECT id FROM commits WHERE id GLOB ?", (f"{ref}*",)).fetchall()
        if len(rows) == 1:
            return str(rows[0][0])
        if rows:
            raise UsageError(
                f"{len(rows)} commits start with {ref!r}", hint="Write more of the commit's id."
            )
    names = [row[0] for row in db.execute("SELECT name FROM refs")]
    raise NotFound(
        f"There is no branch, tag or commit {ref!r}" + did_you_mean(ref, names),
        hint="`raypipe data log` lists the commits of a branch.",
    )


def _head(db: sqlite3.Connection, branch: str) -> str:
    rows = dict(db.execute("SELECT name, id FROM refs WHERE kind = 'branch'"))
    if branch not in rows:
        raise NotFound(f"There is no branch {branch!r}" + did_you_mean(branch, rows))
    return str(rows[branch])


def _move(db: sqlite3.Connection, branch: str, to: str, expected: str) -> None:
    moved = db.execute(
        "UPDATE refs SET id = ? WHERE name = ? AND kind = 'branch' AND id = ?",
        (to, branch, expected),
    )
    if moved.rowcount != 1:
        raise StoreError(f"Branch {branch} moved meanwhile; nothing was changed", hint="Try again.")
    fault_point("branch.moved")


def _stage(
    db: sqlite3.Connection, branch: str, path: str, object_id: str | None, size: int
) -> None:
    db.execute("INSERT OR REPLACE INTO staged VALUES (?, ?, ?, ?)", (branch, path, object_id, size))


def _staged_over(db: sqlite3.Connection, branch: str, tree: Tree) -> Tree:
    after = dict(tree)
    rows = db.execute("SELECT path, object, size FROM staged WHERE branch = ?", (branch,))
    for path, object_id, size in rows:
        if object_id is None:
            after.pop(path, None)
        else:
            after[path] = (object_id, size)
    return after


def _held(db: sqlite3.Connection, after: int = 0, upto: int = 1 << 62) -> set[str]:
    """Return the ids of all objects that trees of these numbers hold or a branch has staged."""
    held = {row[0] for row in db.execute("SELECT object FROM staged WHERE object IS NOT NULL")}
    trees = db.execute("SELECT entries FROM trees WHERE rowid > ? AND rowid <= ?", (after, upto))
    for (entries,) in trees:
        held.update(entry[0] for entry in json.loads(entries).values())
    return held


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _refuse_staged(db: sqlite3.Connection, branch: str) -> None:
    paths = [
        row[0]
        for row in db.execute("SELECT path FROM staged WHERE branch = ? ORDER BY 1", (branch,))
    ]
    if paths:
        raise StoreError(
            f"Branch {branch} holds changes that are not committed: {some(paths)}",
            hint="Commit them first.",
        )


def _tree_of(db: sqlite3.Connection, commit: str) -> Tree:
    row = db.execute(
        "SELECT entries FROM trees JOIN commits ON commits.tree = trees.digest WHERE id = ?",
        (commit,),
    ).fetchone()
    return {path: (entry[0], entry[1]) for path, entry in json.loads(row[0]).items()}


_COLUMNS = "id, parents, message, actor, time, meta"


def _as_commit(row: tuple[str, str, str, str, float, str]) -> Commit:
    return Commit(
        id=row[0],
        parents=tuple(json.loads(row[1])),
        message=row[2],
        actor=Actor(**json.loads(row[3])),
        time=row[4],
        meta=json.loads(row[5]),
    )


def _commit(db: sqlite3.Connection, commit: str) -> Commit:
    return _as_commit(
        db.execute(f"SELECT {_COLUMNS} FROM commits WHERE id = ?", (commit,)).fetchone()
    )


def _all_commits(db: sqlite3.Connection) -> tuple[dict[str, int], dict[str, Commit]]:
    rows = db.execute(f"SELECT number, {_COLUMNS} FROM commits").fetchall()
    return {row[1]: row[0] for row in rows}, {row[1]: _as_commit(row[1:]) for row in rows}


def _parents(db: sqlite3.Connection) -> dict[str, tuple[str, ...]]:
    """Return the parents of every commit, oldest commit first."""
    rows = db.execute("SELECT id, parents FROM commits ORDER BY number")
    return {row[0]: tuple(json.loads(row[1])) for row in rows}


def _ancestors(history: Mapping[str, tuple[str, ...]], commit: str) -> set[str]:
    """Return a commit and all before it."""
    found, queue = {commit}, [commit]
    while queue:
        new = set(history[queue.pop()]) - found
        found |= new
        queue.extend(new)
    return found


def _common_ancestor(history: dict[str, tuple[str, ...]], a: str, b: str) -> str:
    """Return the newest commit that is before both."""
    common = _ancestors(history, a) & _ancestors(history, b)
    return next(commit for commit in reversed(history) if commit in common)


def _combine(base: Tree, ours: Tree, theirs: Tree, what: str) -> Tree:
    """Lay what `theirs` changed in `base` over `ours`; StoreError names what both changed apart."""
    changed = {p for p in base.keys() | theirs.keys() if base.get(p) != theirs.get(p)}
    clashes = [p for p in sorted(changed) if ours.get(p) not in (base.get(p), theirs.get(p))]
    if clashes:
        raise StoreError(
            f"Cannot merge {what}: both sides changed {some(clashes)}",
            hint="Make the change anew on a branch from the newest commit.",
        )
    kept = {path: entry for path, entry in ours.items() if path not in changed}
    return kept | {path: theirs[path] for path in changed if path in theirs}


if TYPE_CHECKING:
    _fits: VersionStore = LocalVersions(Path())
