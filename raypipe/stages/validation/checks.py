"""Which anomalies rows have: profiles, a schema and settings in, anomalies out.

All rows are held against the schema; where some of them are new, these are looked at by themselves
too, so that a bad shard does not drown among many good ones, and changes are looked for in them
alone. What only a search over all rows can find comes ready (`search.py`).
"""

from collections.abc import Iterator, Sequence

from raypipe.config.validation import ValidationConfig
from raypipe.stages.validation.changes import of_changes, of_skew
from raypipe.stages.validation.columns import of_columns
from raypipe.stages.validation.judging import judged
from raypipe.stages.validation.labels import of_dominance, of_label, of_listed
from raypipe.stages.validation.leakage import of_leakage
from raypipe.stages.validation.words import percent
from raypipe.values.drift import Gap, distances, gap_by_column
from raypipe.values.profile import KeyProfile, Profile, SplitProfiles
from raypipe.values.schema import Schema
from raypipe.values.split import SplitRule
from raypipe.values.validation import Found, Validation
from raypipe.values.words import amount


def check(
    profiles: SplitProfiles,
    schema: Schema,
    settings: ValidationConfig,
    *,
    fresh: SplitProfiles | None = None,
    baseline: SplitProfiles | None = None,
    searched: Sequence[Found] = (),
    split: SplitRule | None = None,
) -> Validation:
    """Return all that there is to say about rows: `fresh` are those not in `baseline`.

    `searched` is what a search over all rows found; `split` is how rows are divided.
    """
    found = [*_of_rows(profiles), *of_columns(profiles.all, schema, "rows")]
    found += [*_of_key(profiles.all), *of_label(profiles.train, schema, settings)]
    found += [*of_leakage(profiles.train, schema, settings), *searched]
    found += of_listed(profiles, schema)
    gaps: dict[str, Gap | None] = {}
    if fresh is not None:
        found += of_columns(fresh.all, schema, "the new rows")
        found += of_leakage(fresh.train, schema, settings)
    if fresh is not None and baseline is not None:
        gaps = gap_by_column(fresh.all, baseline.all) if settings.drift else {}
        found += of_changes(fresh.all, baseline.all, schema, settings, gaps)
        found += of_dominance(fresh.all, baseline.all, schema, settings)
    if split is not None and split.by != "time":
        found += of_skew(profiles, schema, settings, split)
    anomalies, accepted = judged(found, schema, settings)
    return Validation(
        rows=profiles.all.rows,
        new_rows=fresh.all.rows if fresh else None,
        anomalies=anomalies,
        drift=distances(gaps),
        accepted=accepted,
    )


def _of_rows(profiles: SplitProfiles) -> Iterator[Found]:
    if not profiles.all.rows:
        yield Found(kind="empty", said="The data has no rows.")
        return
    splits = {name: getattr(profiles, name) for name in ("train", "validation", "analysis")}
    if empty := [name for name, profile in splits.items() if not profile.rows]:
        said = f"No row is in the split {' or '.join(empty)}; look at data.split."
        yield Found(kind="empty", said=said, examples=tuple(empty))


def _by_sample(keys: KeyProfile) -> str:
    if keys.exact:
        return ""
    return f", as {amount(len(keys.hashes), 'key')} suggest, a fair sample of them"


def _of_key(profile: Profile) -> Iterator[Found]:
    keys = profile.keys
    if keys is not None and keys.duplicates:
        named = ", ".join(keys.columns)
        share = keys.duplicates / keys.rows
        verb = "has" if keys.duplicates == 1 else "have"
        about = "" if keys.exact else "about "
        which = f"{about}{amount(keys.duplicates, 'row')} ({percent(share)})"
        yield Found(
            kind="duplicate_key",
            column=named if len(keys.columns) == 1 else "",
            said=f"{which} {verb} the key of another ({named}){_by_sample(keys)}.",
            share=share,
            allow="another data.key",
        )
