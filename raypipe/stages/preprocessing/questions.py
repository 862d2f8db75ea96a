"""What a recipe asks of the train rows themselves, where their profile does not tell it."""

from collections.abc import Iterable
from dataclasses import dataclass

from raypipe.config.content_groups import ImageGroup, TextGroup
from raypipe.config.preprocessing import Group


@dataclass(frozen=True, kw_only=True)
class Words:
    """How often each word occurs in texts."""

    columns: tuple[str, ...]
    lowercase: bool


@dataclass(frozen=True, kw_only=True)
class Brightness:
    """How bright the pixels of images are, by channel."""

    columns: tuple[str, ...]
    size: tuple[int, int]
    channels: int
    broken: str


Question = Words | Brightness


def question_of(group: Group) -> Question | None:
    """Return what a group asks of the rows themselves; None where their profile suffices."""
    if isinstance(group, TextGroup) and group.file is None:
        return Words(columns=group.columns, lowercase=group.lowercase)
    if isinstance(group, ImageGroup) and group.normalise == "train":
        return Brightness(
            columns=group.columns,
            size=group.size,
            channels=group.channels,
            broken=group.broken,
        )
    return None


def questions_of(groups: Iterable[Group]) -> tuple[Question, ...]:
    """Return what groups ask of the rows, each question once, in the order of the groups."""
    asked = (question_of(group) for group in groups)
    return tuple(dict.fromkeys(one for one in asked if one is not None))


def files_of(groups: Iterable[Group]) -> tuple[str, ...]:
    """Return the files of the project that groups name, as a step depends on them."""
    named = (group.file for group in groups if isinstance(group, TextGroup))
    return tuple(dict.fromkeys(f"file:{file}" for file in named if file is not None))
