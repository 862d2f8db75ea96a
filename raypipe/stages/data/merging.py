"""Profiles of shards become those of the dataset, a few at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raypipe.engine.step import step

if TYPE_CHECKING:  # a plan imports this module, and must not wait for Arrow
    from raypipe.values.profile import SplitProfiles

TOGETHER = 8
"""Profiles that are merged by one step."""


@step(driver=True)
def merge_profiles(profiles: list[SplitProfiles]) -> SplitProfiles:
    """Merge the profiles of shards into those of the dataset."""
    from raypipe.values.profile import SplitProfiles

    return SplitProfiles.merge_all(profiles)


def merged_profiles(profiles: list[Any]) -> Any:
    """Connect merges by eights, so that of many shards only those beside a new one merge again.

    The result is the same to the bit in whatever groups it is merged.
    """
    while len(profiles) > TOGETHER:
        starts = range(0, len(profiles), TOGETHER)
        groups = [profiles[start : start + TOGETHER] for start in starts]
        profiles = [merge_profiles(group) if len(group) > 1 else group[0] for group in groups]
    return merge_profiles(profiles)
