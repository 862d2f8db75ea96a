"""Small summaries of many values that merge exactly: of a distribution, and of how many differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from raypipe.values.hashing import BLOCK, Hashes

_BITS = 6
"""Leading bits of the mantissa that tell buckets apart: 64 an octave, each 1.6 % wide at most."""
_SHIFT = np.int64(52 - _BITS)


@dataclass(frozen=True, kw_only=True, eq=False)
class Buckets:
    """How often values fall into buckets whose width grows with the value.

    A bucket holds the numbers whose floating-point forms share sign, exponent and six bits of the
    mantissa; no logarithm is taken, so the same values give the same buckets on every machine.
    """

    keys: npt.NDArray[np.int32]
    """Buckets that hold anything, in the order of their values: 0 holds 0, -n mirrors n."""

    counts: npt.NDArray[np.int64]
    """Values in each."""

    @classmethod
    def of(cls, numbers: npt.NDArray[np.float64], times: npt.NDArray[np.int64] | None) -> Self:
        """Count finite numbers, each met so many times; without `times`, once."""
        return cls._of_cells(*_cells(numbers), times, 1)[0]

    @classmethod
    def of_parts(
        cls, numbers: npt.NDArray[np.float64], part_of: npt.NDArray[np.int8], count: int
    ) -> list[Self]:
        """Count finite numbers part by part; `part_of` says which each is in."""
        cells, first, smallest, width = _cells(numbers)
        cells += part_of * np.int64(width)
        return cls._of_cells(cells, first, smallest, width, None, count)

    @classmethod
    def _of_cells(
        cls,
        cells: npt.NDArray[np.int64],
        first: int,
        smallest: int,
        width: int,
        times: npt.NDArray[np.int64] | None,
        count: int,
    ) -> list[Self]:
        table = np.bincount(cells, weights=times, minlength=width * count)
        return [cls._held(counts, first, smallest) for counts in table.reshape(count, width)]

    @classmethod
    def _held(cls, counts: npt.NDArray[Any], first: int, smallest: int) -> Self:
        held = counts.nonzero()[0]
        keys = held + first
        keys += np.sign(keys) * (smallest - 1)
        return cls(keys=keys.astype(np.int32), counts=counts[held].astype(np.int64))

    @property
    def total(self) -> int:
        """Values in all buckets."""
        return int(self.counts.sum())

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """The middle of each bucket: at most 0.8 % from each value in it."""
        low, high = self._sizes
        middles: npt.NDArray[np.float64] = np.sign(self.keys) * (low / 2 + high / 2)
        middles[self.keys == 0] = 0.0
        return middles

    @property
    def bounds(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Where each bucket begins and ends; that of 0 is a point."""
        near, far = self._sizes
        low = np.where(self.keys < 0, -far, near)
        high = np.where(self.keys < 0, -near, far)
        low[self.keys == 0] = high[self.keys == 0] = 0.0
        return low, high

    @property
    def _sizes(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The absolute values between which those of each bucket lie; of that of 0, nonsense."""
        places = np.abs(self.keys.astype(np.int64)) - 1
        low = (places << _SHIFT).view(np.float64)
        high = np.minimum((places + 1) << _SHIFT, _LARGEST).view(np.float64)
        return low, high

    def quantile(self, share: float) -> float | None:
        """Return the value below which this share of values lies; None if there are none."""
        if not len(self.counts):
            return None
        reached = np.cumsum(self.counts)
        place = int(np.searchsorted(reached, share * (self.total - 1), side="right"))
        return float(self.values[min(place, len(self.keys) - 1)])

    @classmethod
    def merge_all(cls, parts: Sequence[Self]) -> Self:
        """Count the values of all parts."""
        keys = np.concatenate([part.keys for part in parts])
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        first = np.ones(len(keys), np.bool_)
        np.not_equal(keys[1:], keys[:-1], out=first[1:])
        starts = first.nonzero()[0]
        counts = np.concatenate([part.counts for part in parts])[order]
        return cls(
            keys=keys[starts], counts=np.add.reduceat(counts, starts) if len(starts) else counts
        )


def _cells(numbers: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], int, int, int]:
    """Number the buckets of numbers from 0 on, without the octaves about 0 that nothing is in.

    Returns these, which bucket the first of them is, the smallest that holds anything above or
    below 0, and how many lie between the first and the last.
    """
    signed = np.empty(len(numbers), np.int64)
    if not len(numbers):
        return signed, 0, 1, 0
    for start in range(0, len(numbers), BLOCK):
        block = slice(start, start + BLOCK)
        signed[block] = _size(numbers[block])
    smallest = int(signed.min()) or int(signed.min(where=signed > 0, initial=_MOST))
    for start in range(0, len(numbers), BLOCK):
        block = slice(start, start + BLOCK)
        signed[block] = _signed(numbers[block], signed[block] - (smallest - 1))
    first, last = int(signed.min()), int(signed.max())
    signed -= first
    return signed, first, smallest, last - first + 1


def _size(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the buckets of the numbers' absolute values."""
    forms = numbers.view(np.int64) & _UNSIGNED
    sizes: npt.NDArray[np.int64] = (forms >> _SHIFT) + (forms != 0)
    return sizes


def _signed(
    numbers: npt.NDArray[np.float64], sizes: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Turn round what is of a number below 0, by its sign's bit; what is below 0 becomes 0."""
    sign = numbers.view(np.int64) >> np.int64(63)
    signed: npt.NDArray[np.int64] = np.maximum(sizes, 0) ^ sign
    signed -= sign
    return signed


_UNSIGNED = np.int64((1 << 63) - 1)
_MOST = 1 << 20
"""More than there are buckets."""

_LARGEST = np.array([np.finfo(np.float64).max]).view(np.int64)[0]

_PLACES = 12
_REGISTERS = 1 << _PLACES
_SPARSE = _REGISTERS // 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Distinct:
    """About how many values differ, by HyperLogLog: 4,096 registers, a standard error of 1.6 %."""

    places: npt.NDArray[np.uint16] | None
    """Registers that are not 0, in order; None where all are written."""

    ranks: npt.NDArray[np.uint8]
    """What these registers hold."""

    @classmethod
    def of(cls, hashes: Hashes) -> Self:
        """Count distinct hashes."""
        return cls.of_places(register_and_rank(hashes))

    @classmethod
    def of_places(cls, places: npt.NDArray[np.int32]) -> Self:
        """Count what hashes say of registers: see register_and_rank."""
        return cls.of_parts(places, np.zeros(len(places), np.int8), 1)[0]

    @classmethod
    def of_parts(
        cls, places: npt.NDArray[np.int32], part_of: npt.NDArray[np.int8], count: int
    ) -> list[Self]:
        """Count them part by part; `part_of` says which each is in."""
        registers = np.zeros(count * _REGISTERS, np.uint8)
        own = part_of * np.int32(_REGISTERS) + (places >> 6)
        np.maximum.at(registers, own, (places & 63).astype(np.uint8))
        return [cls._written(part) for part in registers.reshape(count, _REGISTERS)]

    @classmethod
    def _written(cls, registers: npt.NDArray[np.uint8]) -> Self:
        if np.count_nonzero(registers) > _SPARSE:
            return cls(places=None, ranks=registers.copy())
        held = (registers > 0).nonzero()[0]  # numpy finds truths sooner than numbers
        return cls(places=held.astype(np.uint16), ranks=registers[held])

    @property
    def registers(self) -> npt.NDArray[np.uint8]:
        """All registers."""
        if self.places is None:
            return self.ranks
        registers = np.zeros(_REGISTERS, np.uint8)
        registers[self.places] = self.ranks
        return registers

    @property
    def at_least(self) -> int:
        """Distinct values that there are for certain: each sets one register."""
        return int(np.count_nonzero(self.ranks))

    @property
    def estimate(self) -> int:
        """About how many distinct values were seen."""
        registers = self.registers
        empty = _REGISTERS - self.at_least
        raw = (
            0.7213
            / (1 + 1.079 / _REGISTERS)
            * _REGISTERS**2
            / float(np.exp2(-registers.astype(np.float64)).sum())
        )
        if raw <= 2.5 * _REGISTERS and empty:
            return round(_REGISTERS * float(np.log(_REGISTERS / empty)))
        return round(raw)

    @classmethod
    def merge_all(cls, parts: Sequence[Self]) -> Self:
        """Count what any has seen."""
        full = next((part for part in parts if part.places is None), None)
        registers = np.zeros(_REGISTERS, np.uint8) if full is None else full.ranks.copy()
        for part in parts:
            if part.places is not None:
                registers[part.places] = np.maximum(registers[part.places], part.ranks)
            elif part is not full:
                np.maximum(registers, part.ranks, out=registers)
        return cls._written(registers) if full is None else cls(places=None, ranks=registers)


def register_and_rank(hashes: Hashes) -> npt.NDArray[np.int32]:
    """Return the number of each hash's register times 64, and the place of the first 1 after it."""
    places = np.empty(len(hashes), np.int32)
    for start in range(0, len(hashes), BLOCK):
        block = slice(start, start + BLOCK)
        places[block] = _register_and_rank(hashes[block])
    return places


def _register_and_rank(hashes: Hashes) -> npt.NDArray[np.int64]:
    register = (hashes >> np.uint64(64 - _PLACES)).astype(np.int64)
    # The bits that are left, as a float: its exponent is the place of the highest one.
    rest = (hashes & np.uint64((1 << (64 - _PLACES)) - 1)).astype(np.float64)
    exponent = np.maximum((rest.view(np.int64) >> np.int64(52)) - 1023, -1)
    places: npt.NDArray[np.int64] = register * 64 + (64 - _PLACES) - exponent
    return places
