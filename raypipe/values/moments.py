"""Exact sums of floating-point numbers: the same in whatever order, however they were parted.

A sum of floats depends on the order that it is taken in, and a profile must not. So numbers are cut
into short whole numbers on one grid, whose sums and products are exact as floats, and these are put
together as integers of any length.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_LOWEST = 1074
"""Every finite double is a multiple of 2**-1074."""
_SPAN = 90
"""Octaves below the largest number down to which numbers are cut on the same grid."""
_BLOCK = 1 << 13
"""Numbers at a time: few enough for the cache, and for BLAS not to start threads for them."""


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Sums of finite numbers and of their squares, exact."""

    count: int
    total: int
    """Sum, in units of 2**-1074."""
    squares: int
    """Sum of the squares, in units of 2**-2148."""

    @classmethod
    def of(cls, numbers: Floats, times: Counts | None = None) -> Self | None:
        """Take the moments of numbers, each met so many times, or once; None if there are none."""
        count = len(numbers) if times is None else int(times.sum())
        if not count:
            return None
        total = squares = 0
        for start in range(0, len(numbers), _BLOCK):
            block = slice(start, start + _BLOCK)
            sums = _sums(numbers[block], None if times is None else times[block])
            total, squares = total + sums[0], squares + sums[1]
        return cls(count=count, total=total, squares=squares)

    @classmethod
    def merge_all(cls, parts: Sequence[Self]) -> Self:
        """Take the moments of all parts."""
        return cls(
            count=sum(part.count for part in parts),
            total=sum(part.total for part in parts),
            squares=sum(part.squares for part in parts),
        )

    @property
    def mean(self) -> float:
        """Average."""
        return _divided(self.total, self.count << _LOWEST)

    @property
    def variance(self) -> float:
        """Population variance; infinite where it is no double."""
        spread = self.squares * self.count - self.total**2
        return _divided(spread, self.count**2 << 2 * _LOWEST)


def _divided(whole: int, by: int) -> float:
    try:
        return whole / by
    except OverflowError:
        return float("inf")


def _sums(numbers: Floats, times: Counts | None) -> tuple[int, int]:
    """Return the sums of a block of numbers and of their squares, in their units."""
    sizes = np.abs(numbers)
    top = math.frexp(sizes.max())[1]
    least = math.ldexp(1.0, top - _SPAN)
    if sizes.min() >= least:
        return _sums_on_grid(numbers, times, top)
    small = (sizes < least) & (sizes > 0)
    if not small.any():
        return _sums_on_grid(numbers, times, top)
    parts = [(numbers[kept], None if times is None else times[kept]) for kept in (small, ~small)]
    low, high = _sums(*parts[0]), _sums_on_grid(*parts[1], top)
    return low[0] + high[0], low[1] + high[1]


def _sums_on_grid(numbers: Floats, times: Counts | None, top: int) -> tuple[int, int]:
    """Cut numbers below 2**top into digits so short that their products' sums are exact."""
    count = len(numbers) if times is None else int(times.sum())
    bits = (53 - count.bit_length()) // 2
    rest = _shifted(numbers, bits - top)
    wide = 2.0**bits
    digits = []
    while True:
        digit = np.trunc(rest)
        digits.append(digit)
        rest -= digit
        if not rest @ rest:  # within _SPAN octaves no square is too small to be told from 0
            break
        rest *= wide
    units = [top - bits * (place + 1) for place in range(len(digits))]
    total = squares = 0
    for a, digit in enumerate(digits):
        weighted = digit if times is None else digit * times
        total += _scaled(float(weighted.sum()), units[a] + _LOWEST)
        for b in range(a + 1):
            product = float(weighted @ digits[b]) * (1 if a == b else 2)
            squares += _scaled(product, units[a] + units[b] + 2 * _LOWEST)
    return total, squares


def _shifted(numbers: Floats, bits: int) -> Floats:
    """Multiply by a power of two; ldexp, which is slower, where that is no double itself."""
    return numbers * 2.0**bits if abs(bits) < 1000 else np.ldexp(numbers, bits)


def _scaled(value: float, shift: int) -> int:
    return int(value) << shift if shift >= 0 else int(value) >> -shift
