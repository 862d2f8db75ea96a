"""What a data report is made of: profiles, and what was found by them."""

from dataclasses import dataclass, field

from raypipe.config.data import DataConfig
from raypipe.config.validation import ValidationConfig
from raypipe.values.dataset import Dataset, Shard
from raypipe.values.profile import Profile, SplitProfiles
from raypipe.values.schema import Schema
from raypipe.values.validation import Validation

NOTHING = Profile.merge_all([])


@dataclass(frozen=True, kw_only=True)
class Validated:
    """What is known of rows beyond their columns, where settings say what these mean."""

    validation: Validation
    splits: SplitProfiles
    schema: Schema
    data: DataConfig


@dataclass(frozen=True, kw_only=True)
class CheckLine:
    """What one check of a library of checks came to."""

    name: str
    status: str
    details: str = ""


@dataclass(frozen=True, kw_only=True)
class Checks:
    """What a library of checks said of a sample of the rows."""

    lines: tuple[CheckLine, ...]
    said: str = ""
    """What was checked, and by what."""
    unfinished: str = ""
    """Why not all of them came to an end; empty where they did."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that a page says of a dataset; nothing of it is the rows themselves."""

    name: str
    dataset: Dataset
    now: Profile
    """All rows."""
    before: Profile | None = None
    """The rows that those of now are compared with; None if there are none."""
    new: Profile | None = None
    """The rows that were not among them; None where that is not known, or there are none."""
    new_shards: tuple[Shard, ...] = ()
    settings: ValidationConfig = field(default_factory=ValidationConfig)
    validated: Validated | None = None
    """None where no settings say which columns are label, key and split."""
    checks: Checks | None = None
    """None where no library of checks looked at the rows."""

    @property
    def earlier(self) -> Profile:
        """The rows before; none of them where there is nothing to compare with."""
        return NOTHING if self.before is None else self.before

    @property
    def compared(self) -> Profile:
        """The rows whose distribution is held against the one before."""
        return self.new if self.new is not None and self.new.rows else self.now

    @property
    def compared_as(self) -> str:
        """What these rows are called."""
        return "all rows" if self.compared is self.now else "new rows"
