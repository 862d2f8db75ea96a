"""Commits, refs and what is staged: the rows of one local repository in SQLite."""

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from raypipe.engine.records import Actor, Json
from raypipe.errors import NotFound, StoreError, UsageError
from raypipe.fault_points import fault_point
from raypipe.store.versions import Commit, both_changed, did_you_mean, uncommitted

Tree = dict[str, tuple[str, int]]
"""Path to (object id, size)."""

_COMMIT = re.compile(r"[0-9a-f]{6,64}")


def connect(path: Path) -> sqlite3.Connection:
    """Open a repository's database; what it answers is durable."""
    db = sqlite3.connect(path, timeout=60, isolation_level=None)
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Let nobody else write, and commit at the end of the body."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def make_tables(db: sqlite3.Connection) -> None:
    """Make the tables."""
    text = Path(__file__).with_name("versions_local.sql").read_text("utf-8")
    for statement in re.sub(r"--.*", "", text).split(";"):
        db.execute(statement)


def canonical(value: Json) -> str:
    """Return a value's one JSON text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(tag: str, text: str) -> str:
    """Return the digest of a tagged text."""
    return hashlib.blake2b(f"{tag}\n{text}".encode(), digest_size=32).hexdigest()


def resolved(db: sqlite3.Connection, ref: str) -> str:
    """Return the commit that a ref names."""
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


def head_of(db: sqlite3.Connection, branch: str) -> str:
    """Return the commit of a branch."""
    rows = dict(db.execute("SELECT name, id FROM refs WHERE kind = 'branch'"))
    if branch not in rows:
        raise NotFound(f"There is no branch {branch!r}" + did_you_mean(branch, rows))
    return str(rows[branch])


def move(db: sqlite3.Connection, branch: str, to: str, expected: str) -> None:
    """Let a branch name another commit; StoreError if it names not the expected one."""
    moved = db.execute(
        "UPDATE refs SET id = ? WHERE name = ? AND kind = 'branch' AND id = ?",
        (to, branch, expected),
    )
    if moved.rowcount != 1:
        raise StoreError(f"Branch {branch} moved meanwhile; nothing was changed", hint="Try again.")
    fault_point("branch.moved")


def stage(db: sqlite3.Connection, branch: str, path: str, object_id: str | None, size: int) -> None:
    """Stage an object, or the removal of a path."""
    db.execute("INSERT OR REPLACE INTO staged VALUES (?, ?, ?, ?)", (branch, path, object_id, size))


def staged_over(db: sqlite3.Connection, branch: str, tree: Tree) -> Tree:
    """Return a tree with what is staged on a branch laid over it."""
    after = dict(tree)
    rows = db.execute("SELECT path, object, size FROM staged WHERE branch = ?", (branch,))
    for path, object_id, size in rows:
        if object_id is None:
            after.pop(path, None)
        else:
            after[path] = (object_id, size)
    return after


def held_objects(db: sqlite3.Connection, after: int = 0, upto: int = 1 << 62) -> set[str]:
    """Return the ids of all objects that trees of these numbers hold or a branch has staged."""
    held = {row[0] for row in db.execute("SELECT object FROM staged WHERE object IS NOT NULL")}
    trees = db.execute("SELECT entries FROM trees WHERE rowid > ? AND rowid <= ?", (after, upto))
    for (entries,) in trees:
        held.update(entry[0] for entry in json.loads(entries).values())
    return held


def refuse_staged(db: sqlite3.Connection, branch: str) -> None:
    """Raise StoreError if a branch holds what is not committed."""
    paths = [
        row[0]
        for row in db.execute("SELECT path FROM staged WHERE branch = ? ORDER BY 1", (branch,))
    ]
    if paths:
        raise uncommitted(branch, paths)


def tree_of(db: sqlite3.Connection, commit: str) -> Tree:
    """Return the files of a commit."""
    row = db.execute(
        "SELECT entries FROM trees JOIN commits ON commits.tree = trees.digest WHERE id = ?",
        (commit,),
    ).fetchone()
    return {path: (entry[0], entry[1]) for path, entry in json.loads(row[0]).items()}


_COLUMNS = "id, parents, message, actor, time, meta"


def as_commit(row: tuple[str, str, str, str, float, str]) -> Commit:
    """Return a row as a commit."""
    return Commit(
        id=row[0],
        parents=tuple(json.loads(row[1])),
        message=row[2],
        actor=Actor(**json.loads(row[3])),
        time=row[4],
        meta=json.loads(row[5]),
    )


def commit_row(db: sqlite3.Connection, commit: str) -> Commit:
    """Return a commit by its id."""
    return as_commit(
        db.execute(f"SELECT {_COLUMNS} FROM commits WHERE id = ?", (commit,)).fetchone()
    )


def all_commits(db: sqlite3.Connection) -> tuple[dict[str, int], dict[str, Commit]]:
    """Return the number of each commit, and each commit, by id."""
    rows = db.execute(f"SELECT number, {_COLUMNS} FROM commits").fetchall()
    return {row[1]: row[0] for row in rows}, {row[1]: as_commit(row[1:]) for row in rows}


def parents(db: sqlite3.Connection) -> dict[str, tuple[str, ...]]:
    """Return the parents of every commit, oldest commit first."""
    rows = db.execute("SELECT id, parents FROM commits ORDER BY number")
    return {row[0]: tuple(json.loads(row[1])) for row in rows}


def ancestors(history: Mapping[str, tuple[str, ...]], commit: str) -> set[str]:
    """Return a commit and all before it."""
    found, queue = {commit}, [commit]
    while queue:
        new = set(history[queue.pop()]) - found
        found |= new
        queue.extend(new)
    return found


def common_ancestor(history: dict[str, tuple[str, ...]], a: str, b: str) -> str:
    """Return the newest commit that is before both."""
    common = ancestors(history, a) & ancestors(history, b)
    return next(commit for commit in reversed(history) if commit in common)


def combine(base: Tree, ours: Tree, theirs: Tree, what: str) -> Tree:
    """Lay what `theirs` changed in `base` over `ours`; StoreError names what both changed apart."""
    changed = {p for p in base.keys() | theirs.keys() if base.get(p) != theirs.get(p)}
    clashes = [p for p in sorted(changed) if ours.get(p) not in (base.get(p), theirs.get(p))]
    if clashes:
        raise both_changed(clashes, what)
    kept = {path: entry for path, entry in ours.items() if path not in changed}
    return kept | {path: theirs[path] for path in changed if path in theirs}
