"""Artifacts in a bucket, or on any pyarrow filesystem: whole or not at all, each content once."""

from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from raypipe.engine.digest import digest_bytes
from raypipe.engine.ports import Artifacts
from raypipe.engine.records import ArtifactStat
from raypipe.errors import StoreError
from raypipe.fault_points import fault_point
from raypipe.store.bucket import Bucket, Found, mark_of
from raypipe.store.cache import Cache
from raypipe.store.content import digest_path
from raypipe.store.download import Torn, check_tree, write_tree
from raypipe.store.folder import Leftover, base_name, changed, is_of, lost
from raypipe.store.tree import Tree, dump_tree, parse_tree
from raypipe.store.upload import AHEAD, Upload

COPY = "copy/"
"""What the key of a leftover starts with that is a copy on this machine."""
TREE = ".tree"
"""What the name of an artifact's object ends with if it is a file or a folder."""


class ObjectArtifacts:
    """`artifacts/DIGEST` holds bytes, `artifacts/DIGEST.tree` says what a path is made of.

    The contents of paths are in `parts/DIGEST`, objects of a few MiB that are found by their own
    content: large files cut, small ones together. So only what is not there is uploaded. A tree is
    written last: before that there is no artifact. An object is known by its ETag, or by its time
    where there is none; one that differs from what is known is read in full, once.
    """

    def __init__(
        self, bucket: Bucket, cache: Cache, note: Callable[..., None] = lambda *names: None
    ) -> None:
        """`note` is told what is needed before it is looked for, so that nobody removes it."""
        self._bucket = bucket
        self._cache = cache
        self._note = note
        self._parts: dict[str, int] = {}
        """A part to the mark that it had when its content was known."""

    def where(self, digest: str) -> str:
        """Say where an artifact is, for people."""
        return f"{self._bucket.name}/{_key(digest)}"

    # --- publishing -----------------------------------------------------------------------------

    def put_bytes(self, data: bytes, digest: str | None = None) -> ArtifactStat:
        """Publish bytes; `digest` where it is that of a manifest's tree."""
        digest = digest or digest_bytes(data)
        self._note(digest)
        stat = self._stat_of_bytes(digest)
        if stat is None or not self._is_as_known(stat):
            fault_point("artifact.aside")
            stat = _stat(digest, self._bucket.put(_key(digest), data))
            self._remember(stat)
            fault_point("artifact.placed")
        return stat

    def put_path(self, path: Path) -> ArtifactStat:
        """Publish a copy of a file or folder under its base name; only its content counts."""
        digest = digest_path(path)
        self._note(digest)
        stat = self._stat_of_path(digest)
        if stat is None or not self._is_as_known(stat):
            stat = self._publish(path, digest)
            self._remember(stat)
        return stat

    def _publish(self, path: Path, digest: str) -> ArtifactStat:
        with Upload(base_name(path), self._put_part) as upload:
            tree = upload.of(path)
        if tree.digest != digest:
            raise changed(path)
        fault_point("artifact.aside")
        body = dump_tree(tree)
        found = self._bucket.put(_key(digest) + TREE, body)
        fault_point("artifact.placed")
        self._cache.remember(digest + TREE, body)
        return _stat_of_tree(tree, found, (self._parts[key] for key in tree.objects))

    def _put_part(self, key: str, data: bytes) -> None:
        self._note(key)
        found = self._bucket.find(_part(key))
        if found is None or not self._is_part(key, found, len(data)):
            self._parts[key] = self._bucket.put(_part(key), data).mark

    def _is_part(self, key: str, found: Found, size: int) -> bool:
        """Say whether an object is a part; it is read where that is not known."""
        if found.size != size:
            return False
        if self._parts.get(key) != found.mark:
            if digest_bytes(self._bucket.get(_part(key)) or b"") != key:
                return False
            self._parts[key] = found.mark
        return True

    # --- reading --------------------------------------------------------------------------------

    def read(self, digest: str) -> bytes:
        """Return the bytes that were published; checked in full."""
        self._note(digest)
        data = self._cache.read(digest)
        if data is None:
            data = self._bucket.get(_key(digest))
            if data is None:
                raise lost(digest, "there is no such object")
            if not is_of(data, digest):
                raise lost(digest, "its content is not what was published")
            self._cache.keep_bytes(digest, data)
        return data

    def view(self, digest: str) -> bytes:
        """Return the bytes that were published."""
        return self.read(digest)

    def path(self, digest: str) -> Path:
        """Return a copy of a published file or folder on this machine."""
        self._note(digest)
        if (kept := self._cache.path(digest)) is not None:
            return kept
        tree = self._tree(digest)
        if tree is None:
            raise lost(digest, "no object says what it is made of")
        try:
            return self._cache.keep_path(
                digest, tree.size, lambda folder: write_tree(tree, folder, self._get_part)
            )
        except Torn:
            raise lost(digest, "its content is not what was published") from None

    def _get_part(self, key: str) -> bytes:
        data = self._bucket.get(_part(key))
        if data is None or digest_bytes(data) != key:
            raise lost(key, "a part of an artifact is not there, or is another")
        return data

    def returned(self, stat: ArtifactStat) -> bool:
        """Say whether the copy that `path` gave is still what it was; else it is dropped."""
        return self._cache.is_untouched(stat.digest)

    # --- looking --------------------------------------------------------------------------------

    def stat(self, digest: str) -> ArtifactStat:
        """Return what an artifact looks like now; OSError if it is gone."""
        self._note(digest)
        found = self._find(digest)
        if found is None:
            raise FileNotFoundError(f"there is no artifact {digest}")
        return found

    def intact(self, stat: ArtifactStat) -> bool:
        """Say whether an artifact is whole: its size and mark are as recorded, or its digest is."""
        self._note(stat.digest)
        found = self._find(stat.digest)
        return found is not None and (found == stat or self._is_as_known(found))

    def verify(self, digest: str) -> bool:
        """Say whether what lies under a digest has that digest; reads all of it."""
        whole = self._is_what_it_says(digest)
        if not whole:
            self._cache.forget(digest)  # it may look as it did when it was whole
        return whole

    def _is_what_it_says(self, digest: str) -> bool:
        data = self._bucket.get(_key(digest))
        if data is not None:
            return is_of(data, digest)
        tree = self._read_tree(digest)
        if tree is None:
            return False
        try:
            check_tree(tree, self._get_part)
        except (StoreError, Torn):
            return False
        return True

    def _find(self, digest: str) -> ArtifactStat | None:
        return self._stat_of_bytes(digest) or self._stat_of_path(digest)

    def _stat_of_bytes(self, digest: str) -> ArtifactStat | None:
        found = self._bucket.find(_key(digest))
        return None if found is None else _stat(digest, found)

    def _stat_of_path(self, digest: str) -> ArtifactStat | None:
        """Return the sizes and marks of all objects of a path; None where one is gone or cut."""
        found = self._bucket.find(_key(digest) + TREE)
        tree = None if found is None else self._tree(digest)
        if found is None or tree is None:
            return None
        with ThreadPoolExecutor(AHEAD) as pool:
            parts = list(pool.map(lambda key: self._bucket.find(_part(key)), tree.objects))
        sizes = tree.objects.values()
        if any(part is None or part.size != size for part, size in zip(parts, sizes, strict=True)):
            return None
        return _stat_of_tree(tree, found, (part.mark for part in parts if part is not None))

    def _is_as_known(self, stat: ArtifactStat) -> bool:
        """Say whether an artifact is whole that looks like this; it is read in full once."""
        known = self._cache.recall(stat.digest + ".mark")
        if known != _known(stat):
            if not self.verify(stat.digest):
                return False
            self._remember(stat)
        return True

    def _remember(self, stat: ArtifactStat) -> None:
        self._cache.remember(stat.digest + ".mark", _known(stat))

    def _tree(self, digest: str) -> Tree | None:
        """Return what a path is made of, and note all of it; None if that is gone or torn."""
        body = self._cache.recall(digest + TREE)
        tree = parse_tree(body, digest) if body else None
        tree = tree or self._read_tree(digest)
        if tree is not None:
            self._note(*tree.objects)
        return tree

    def _read_tree(self, digest: str) -> Tree | None:
        body = self._bucket.get(_key(digest) + TREE)
        tree = parse_tree(body, digest) if body else None
        if body is not None and tree is not None:
            self._cache.remember(digest + TREE, body)
        return tree

    # --- removing -------------------------------------------------------------------------------

    def list(self) -> Iterator[str]:
        """Yield the digest of every artifact, in no order."""
        for name, _ in self._bucket.list("artifacts"):
            yield name.removesuffix(TREE)

    def remove(self, digest: str) -> None:
        """Remove an artifact; one that is not there is no error. Its parts are left over."""
        for key in (_key(digest), _key(digest) + TREE):
            self._bucket.delete(key)
        self._cache.forget(digest)

    def leftovers(self, needed: Container[str]) -> Iterator[Leftover]:
        """Yield parts and copies of no needed artifact, and what writers have aside."""
        used = set(self._parts_of(digest for digest in self.list() if digest in needed))
        for name, size in self._bucket.list("parts"):
            if name not in used:
                yield Leftover(name=name, key=_part(name), size=size)
        for name, size in self._bucket.list(".tmp"):
            yield Leftover(name=name, key=f".tmp/{name}", size=size, written=True)
        for copy in self._cache.copies():
            if copy.digest not in needed:
                yield Leftover(name=copy.digest, key=COPY + copy.digest, size=copy.size)

    def discard(self, leftover: Leftover) -> None:
        """Remove what is left over."""
        if leftover.key.startswith(COPY):
            self._cache.release(leftover.key.removeprefix(COPY))
        else:
            self._bucket.delete(leftover.key)

    def _parts_of(self, digests: Iterable[str]) -> Iterator[str]:
        for digest in digests:
            with suppress(StoreError):
                tree = self._tree(digest)
                yield from tree.objects if tree else ()


def _key(digest: str) -> str:
    if not digest.isalnum():
        raise StoreError(f"{digest!r} is no digest")
    return f"artifacts/{digest}"


def _part(key: str) -> str:
    return f"parts/{key}"


def _stat(digest: str, found: Found) -> ArtifactStat:
    return ArtifactStat(digest=digest, size=found.size, mtime_ns=found.mark)


def _stat_of_tree(tree: Tree, found: Found, marks: Iterable[int]) -> ArtifactStat:
    mark = mark_of(" ".join(map(str, (found.mark, *marks))).encode())
    return ArtifactStat(digest=tree.digest, size=tree.size, mtime_ns=mark)


def _known(stat: ArtifactStat) -> bytes:
    return f"{stat.size} {stat.mtime_ns}".encode()


if TYPE_CHECKING:
    _fits: Artifacts = ObjectArtifacts(Bucket(None, ""), Cache(Path()))
