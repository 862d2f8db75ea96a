"""Which version answers a request: pure, sticky by unit, in shares."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b


@dataclass(frozen=True, kw_only=True)
class Route:
    """How the requests for a model are divided among its versions."""

    model: str
    shares: Mapping[str, float]
    """Version to share, the champion first; they sum to 1."""

    def choose(self, unit: str) -> tuple[str, float]:
        """Return the version that answers a unit, and its share.

        A unit has a fixed place from 0 to 1. The others take theirs from the end, so that a greater
        share for one of them moves units from the champion to it, and no others.
        """
        if self._only is not None:
            return self._only
        place = place_of(self.model, unit)
        for version, start in self._starts:
            if place >= start:
                return version, self.shares[version]
        return self._champion, self.shares[self._champion]

    @property
    def _champion(self) -> str:
        return next(iter(self.shares))

    @cached_property
    def _only(self) -> tuple[str, float] | None:
        """The version that answers everything, if one does."""
        whole = [version for version, share in self.shares.items() if share > 0]
        return (whole[0], self.shares[whole[0]]) if len(whole) == 1 else None

    @cached_property
    def _starts(self) -> tuple[tuple[str, float], ...]:
        """Where the places of the others begin, from the end on; the champion has the rest."""
        starts, start = [], 1.0
        for version, share in list(self.shares.items())[1:]:
            if share > 0:
                start -= share
                starts.append((version, start))
        return tuple(starts)


def place_of(model: str, unit: str) -> float:
    """Return where a unit stands among all units of a model, from 0 to 1."""
    digest = blake2b(f"{model}\0{unit}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
