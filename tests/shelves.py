"""Every kind of artifact store, as the suite that holds them all to one promise opens it."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from raypipe.engine.records import ArtifactStat
from raypipe.store.bucket import Bucket
from raypipe.store.cache import Cache
from raypipe.store.folder import FolderArtifacts
from raypipe.store.objects import ObjectArtifacts
from raypipe.store.tree import parse_tree
from tests.lakefs import LakeFS

Tear = Literal["truncated", "flipped", "gone"]


@dataclass(frozen=True)
class FolderShelf:
    """Artifacts in a folder."""

    place: Path
    begun: str = "artifacts/.tmp/*/many/*"
    """What is there while `many` is written."""

    def open(self, *, elsewhere: bool = False) -> FolderArtifacts:
        return FolderArtifacts(self.place / "artifacts")

    @property
    def code(self) -> str:
        """What opens it in another process."""
        return f"FolderArtifacts(Path({str(self.place / 'artifacts')!r}))"

    def tear(self, stat: ArtifactStat, how: Tear) -> None:
        """Damage the largest file of an artifact."""
        file = self._largest(stat)
        file.chmod(0o644)
        torn = torn_content(file.read_bytes(), how)
        file.unlink()
        if torn is not None:
            file.write_bytes(torn)

    def touch(self, stat: ArtifactStat) -> None:
        """Make an artifact look like another one, though it is whole."""
        os.utime(self._largest(stat), ns=(1, stat.mtime_ns + 5_000_000_000))

    def is_begun(self) -> bool:
        return bool(list(self.place.glob(self.begun)))

    def _largest(self, stat: ArtifactStat) -> Path:
        target = self.place / "artifacts" / stat.digest
        files = [file for file in target.rglob("*") if file.is_file()] or [target]
        return max(files, key=lambda file: file.stat().st_size)


@dataclass(frozen=True)
class ObjectShelf:
    """Artifacts in objects, and copies of them in a cache."""

    place: Path
    filesystem: Callable[[], Any]
    base: str
    opens: str
    """An expression for the filesystem."""
    caches: list[int] = field(default_factory=list)

    def bucket(self) -> Bucket:
        return Bucket(self.filesystem(), self.base)

    def open(self, *, elsewhere: bool = False) -> ObjectArtifacts:
        """Open it as another process would; `elsewhere`: as another machine would."""
        if elsewhere:
            self.caches.append(1)
        return ObjectArtifacts(self.bucket(), Cache(self.place / f"cache{len(self.caches)}"))

    @property
    def code(self) -> str:
        cache = f"Cache(Path({str(self.place / 'cache')!r}))"
        return f"ObjectArtifacts(Bucket({self.opens}, {self.base!r}), {cache})"

    def tear(self, stat: ArtifactStat, how: Tear) -> None:
        """Damage the largest object of an artifact."""
        key, bucket = self._largest(stat), self.bucket()
        torn = torn_content(bucket.get(key) or b"", how)
        bucket.delete(key)
        if torn is not None:
            bucket.put(key, torn)

    def touch(self, stat: ArtifactStat) -> None:
        """Write an object again as it is."""
        key, bucket = self._largest(stat), self.bucket()
        bucket.put(key, bucket.get(key) or b"")

    def is_begun(self) -> bool:
        return bool(list(self.bucket().list("parts")))

    def _largest(self, stat: ArtifactStat) -> str:
        body = self.bucket().get(f"artifacts/{stat.digest}.tree")
        tree = parse_tree(body, stat.digest) if body else None
        if tree is None:
            return f"artifacts/{stat.digest}"
        return f"parts/{max(tree.objects, key=lambda part: tree.objects[part])}"


Shelf = FolderShelf | ObjectShelf


def local_objects(place: Path) -> ObjectShelf:
    """Objects on this machine's disk."""
    from pyarrow.fs import LocalFileSystem

    opens = "LocalFileSystem()"
    return ObjectShelf(place, LocalFileSystem, str(place / "objects"), opens)


def lakefs_objects(place: Path, server: LakeFS) -> ObjectShelf:
    """Objects in a repository of a lakeFS server, by its S3 gateway."""
    from pyarrow.fs import S3FileSystem

    told = {
        "access_key": server.access_key,
        "secret_key": server.secret_key,
        "endpoint_override": server.endpoint,
        "scheme": "http",
        "region": "us-east-1",
        "allow_delayed_open": True,
    }
    base = f"{server.create()}/main/artifacts-of-tests"
    return ObjectShelf(place, lambda: S3FileSystem(**told), base, f"S3FileSystem(**{told!r})")


def torn_content(content: bytes, how: Tear) -> bytes | None:
    """Return what is left of a content; None: nothing."""
    if how == "truncated":
        return content[: len(content) // 2]
    return bytes([content[0] ^ 0xFF]) + content[1:] if how == "flipped" else None
