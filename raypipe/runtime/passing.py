"""Large values that steps of a run pass on in memory; they are published all the same."""

import pickle
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from raypipe.engine.ports import Artifacts
from raypipe.engine.records import ArtifactStat

LEAST = 4 << 20
"""Bytes of a blob from which on passing it on costs less than reading and checking it again."""

Blobs = dict[str, pickle.PickleBuffer]
"""By digest; pickled with their bytes beside, so that who unpickles them copies nothing."""


class Passing:
    """What one call is given in memory, and what it publishes that is passed on."""

    def __init__(self, given: Iterable[Mapping[str, Any]] = (), room: int = 0) -> None:
        """`room`: bytes that may be passed on."""
        self.given = {digest: blob for blobs in given for digest, blob in blobs.items()}
        self.kept: Blobs = {}
        self.sizes: dict[str, int] = {}
        self._room = room

    def around(self, artifacts: Artifacts) -> Artifacts:
        """Return the artifacts as the call is to see them."""
        return _Passed(artifacts, self) if self.given or self._room else artifacts

    def keep(self, digest: str, data: bytes) -> None:
        """Pass a blob on, if that is a gain and there is room for it."""
        if LEAST <= len(data) <= self._room and digest not in {*self.given, *self.kept}:
            self._room -= len(data)
            self.kept[digest] = pickle.PickleBuffer(data)
            self.sizes[digest] = len(data)


class _Passed:
    """Artifacts whose blobs are taken from memory where they are there."""

    def __init__(self, artifacts: Artifacts, passing: Passing) -> None:
        self._artifacts = artifacts
        self._passing = passing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._artifacts, name)

    def put_bytes(self, data: bytes, digest: str | None = None) -> ArtifactStat:
        """Publish bytes, and pass on a blob."""
        stat = self._artifacts.put_bytes(data, digest)
        if digest is None:
            self._passing.keep(stat.digest, data)
        return stat

    def read(self, digest: str) -> bytes:
        """Return bytes of one's own."""
        given = self._passing.given.get(digest)
        return self._artifacts.read(digest) if given is None else bytes(given)

    def view(self, digest: str) -> bytes | memoryview:
        """Return bytes that lie where others read them too."""
        given = self._passing.given.get(digest)
        return self._artifacts.view(digest) if given is None else memoryview(given)


class Held:
    """What a run has in memory to pass on, in bundles as calls made them, of so many bytes in all.

    The bundle that was not asked for longest goes first, but none that a call is under way with:
    that would not free its memory.
    """

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.size = 0
        self._bundles: OrderedDict[Hashable, Mapping[str, int]] = OrderedDict()
        self._where: dict[str, Hashable] = {}
        self._lent: Counter[Hashable] = Counter()

    def hold(self, bundle: Hashable, sizes: Mapping[str, int]) -> None:
        """Hold a bundle of blobs by their digests, if there is room or room can be made."""
        size = sum(sizes.values())
        idle = iter([one for one in self._bundles if not self._lent[one]])
        while self.size + size > self.bound:
            oldest = next(idle, None)
            if oldest is None:
                return
            self.drop(oldest)
        self._bundles[bundle] = sizes
        self._where |= dict.fromkeys(sizes, bundle)
        self.size += size

    def lend(self, digests: Iterable[str]) -> tuple[Any, ...]:
        """Return the bundles that hold some of these blobs, until they are given back."""
        if not self._where:
            return ()
        asked = dict.fromkeys(self._where[one] for one in digests if one in self._where)
        for bundle in asked:
            self._bundles.move_to_end(bundle)
            self._lent[bundle] += 1
        return tuple(asked)

    def give_back(self, bundles: Iterable[Hashable]) -> None:
        """Say that a call which was lent bundles has ended."""
        for bundle in bundles:
            self._lent[bundle] -= 1
            if not self._lent[bundle]:
                del self._lent[bundle]

    def drop(self, bundle: Hashable) -> None:
        """Hold a bundle no longer."""
        sizes = self._bundles.pop(bundle, {})
        self.size -= sum(sizes.values())
        for digest in sizes:
            if self._where[digest] == bundle:
                del self._where[digest]


Wrap = Callable[[Artifacts], Artifacts]
"""Shows a call artifacts as it is to see them."""
