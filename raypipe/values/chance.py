"""How far figures of a sample stray by chance alone: what lies beyond is worth a word.

A check of validation asks two things of a finding: is it more than the settings allow, and is it
more than chance explains at this many rows? Each bound here answers the second.
"""

import math
from functools import cache
from statistics import NormalDist

ALARMS = 1e-4
"""How often one check may speak of rows that differ by chance alone."""

SURE = 3.0
"""Standard errors that a share must lie beyond what is allowed."""


def share_at_least(count: int, total: int, errors: float = SURE) -> float:
    """Return the lower end of a share's interval: Wilson (1927), JASA 22, 209-212."""
    if not total or not count:
        return 0.0
    share, square = count / total, errors * errors
    middle = share + square / (2 * total)
    spread = errors * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    return max(0.0, (middle - spread) / (1 + square / total))


def share_at_most(count: int, total: int, errors: float = SURE) -> float:
    """Return the upper end of a share's interval."""
    return 1 - share_at_least(total - count, total, errors) if total else 1.0


def chi_square_at_most(freedom: int, alarms: float = ALARMS) -> float:
    """Return what a chi-square rarely exceeds: Wilson and Hilferty (1931), PNAS 17, 684-688."""
    if freedom < 1:
        return 0.0
    part = 2 / (9 * freedom)
    return float(freedom * (1 - part + _deviates(alarms) * math.sqrt(part)) ** 3)


def gap_at_most(new: int, accepted: int, alarms: float = ALARMS) -> float:
    """Return what the largest gap of two samples' cumulative shares rarely exceeds.

    The bound of Smirnov (1948), Ann. Math. Statist. 19, 279-281, for samples that are not tiny.
    """
    return math.sqrt(-math.log(alarms / 2) / 2 * (1 / new + 1 / accepted))


def beyond_at_most(new: int, accepted: int, alarms: float = ALARMS) -> int:
    """Return how many new values may lie beyond the largest accepted one, of one distribution.

    Each order of all values is as likely as another, so that the last j of them are all new with
    chance new / all · (new - 1) / (all - 1) ….
    """
    chance, count = 1.0, 0
    while count < new:
        chance *= (new - count) / (new + accepted - count)
        if chance < alarms:
            return count
        count += 1
    return count


def differ(new: int, of_new: int, old: int, of_old: int, alarms: float = ALARMS) -> bool:
    """Say whether the first of two shares is larger by more than chance (a pooled z test)."""
    if not of_new or not of_old:
        return False
    pooled = (new + old) / (of_new + of_old)
    error = math.sqrt(pooled * (1 - pooled) * (1 / of_new + 1 / of_old))
    return new / of_new - old / of_old > _deviates(alarms) * error


@cache
def _deviates(alarms: float) -> float:
    return NormalDist().inv_cdf(1 - alarms)
