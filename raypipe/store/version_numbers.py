"""Version numbers: what registers a version and what enters it count on by the same rule."""

from collections.abc import Collection


def next_free(version: str, taken: Collection[str]) -> str:
    """Return a version, or the next patch of it that is not taken; ValueError if it is none."""
    major, minor, patch = (int(part) for part in version.split("."))
    while f"{major}.{minor}.{patch}" in taken:
        patch += 1
    return f"{major}.{minor}.{patch}"
