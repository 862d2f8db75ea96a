"""What is wrong with the label: constant, lopsided, or told by a value alone."""

from collections import Counter
from collections.abc import Iterator, Sequence

from raypipe.config.validation import ValidationConfig
from raypipe.stages.validation.words import SHOWN, percent, some, visible
from raypipe.values.chance import differ, share_at_most
from raypipe.values.columns import ColumnProfile
from raypipe.values.hashing import canonical_text
from raypipe.values.profile import Profile, SplitProfiles
from raypipe.values.schema import Schema, is_numeric
from raypipe.values.validation import Found
from raypipe.values.words import amount

CLASSES = 50
"""Distinct values up to which a label is taken for classes."""
ENOUGH = 20
"""Rows of a value from which something is said of it."""


def of_label(train: Profile, schema: Schema, settings: ValidationConfig) -> Iterator[Found]:
    """Say what is wrong with the label of the train split."""
    seen = train.columns.get(schema.label or "")
    if seen is None or not seen.count:
        return
    if seen.distinct <= 1:
        values = seen.values or {}
        what = f"is {next(iter(values))}" if values else "has no value"
        said = f"the label {what} in all {amount(seen.count, 'row')} of the train split."
        yield Found(kind="constant_label", column=seen.name, said=said, examples=tuple(values))
        return
    if settings.balance and has_classes(seen):
        yield from _imbalance(seen, settings.balance)


def of_listed(profiles: SplitProfiles, schema: Schema) -> Iterator[Found]:
    """Say which values lists of the label hold that none of the train split does."""
    label = schema.label or ""
    learned = _listed(profiles.train, label)
    if learned is None:
        return
    for split in ("validation", "analysis"):
        held = _listed(getattr(profiles, split), label) or {}
        unseen = sorted(set(held) - set(learned), key=lambda text: (-held[text], text))
        if unseen:
            values = f"{amount(len(unseen), 'value')} ({some(unseen[:SHOWN], len(unseen))})"
            yield Found(
                kind="unseen_category",
                column=label,
                said=f"lists of the {split} split hold {values} that none of the train split "
                "does: nothing is learned of it, and it counts for nothing in metrics.",
                examples=tuple(unseen[:SHOWN]),
            )


def _listed(profile: Profile, label: str) -> dict[str, int] | None:
    """Return how often the label's lists hold which value; None where that is not counted."""
    seen = profile.columns.get(label)
    inner = seen.inner.get("[]") if seen else None
    return None if inner is None or inner.values is None else dict(inner.values)


def has_classes(label: ColumnProfile) -> bool:
    """Say whether a label names classes: of text or truth, or a few whole numbers."""
    few = label.values is not None and len(label.values) <= CLASSES
    whole = few and all(text.lstrip("-").isdigit() for text in label.values or ())
    return few and (whole or not is_numeric(label.type))


def _imbalance(label: ColumnProfile, allowed: float) -> Iterator[Found]:
    counts = label.values or {}
    total = sum(counts.values())
    rare = {
        text: count
        for text, count in counts.items()
        if share_at_most(count, total) * len(counts) < allowed
    }
    if rare:
        share = sum(rare.values()) / total
        examples = tuple(sorted(rare, key=lambda text: (rare[text], text)))[:5]
        yield Found(
            kind="imbalance",
            column=label.name,
            said=f"{percent(share)} of the train split have {some(examples, len(rare))}: less than "
            f"{percent(allowed)} of an even share of {len(counts)} classes.",
            share=share,
            examples=examples,
            allow=f"validation.balance: {0.8 * min(rare.values()) / total * len(counts):.2g}",
        )


# --- a value that tells the label -----------------------------------------------------------------


def of_dominance(
    new: Profile, accepted: Profile, schema: Schema, settings: ValidationConfig
) -> Iterator[Found]:
    """Look for values whose new rows nearly all have one label, and had not before."""
    label = schema.label or ""
    if settings.dominance is None or label not in new.sample.rows.column_names:
        return
    seen = new.columns[label]
    if label not in accepted.columns or not has_classes(seen):
        return
    samples = new.sample.rows, accepted.sample.rows
    truths = [canonical_text(rows[label]) for rows in samples]
    for name, column in new.columns.items():
        few = column.values is not None and 2 <= len(column.values) <= CLASSES
        if name == label or not few or name not in accepted.columns:
            continue
        ours, theirs = (
            _together(canonical_text(rows[name]), truth)
            for rows, truth in zip(samples, truths, strict=True)
        )
        yield from _dominated(name, label, ours, theirs, settings.dominance)


def _together(
    values: Sequence[str | None], truths: Sequence[str | None]
) -> dict[str, Counter[str]]:
    """Count labels by value."""
    counted: dict[str, Counter[str]] = {}
    for (value, truth), count in Counter(zip(values, truths, strict=True)).items():
        if value is not None and truth is not None:
            counted.setdefault(value, Counter())[truth] = count
    return counted


def _dominated(
    name: str,
    label: str,
    ours: dict[str, Counter[str]],
    theirs: dict[str, Counter[str]],
    at_most: float,
) -> Iterator[Found]:
    for value, labels in sorted(ours.items()):
        (top, count), total = labels.most_common(1)[0], labels.total()
        before = theirs.get(value, Counter())
        if total < ENOUGH or count <= at_most * total or before.total() < ENOUGH:
            continue
        if differ(count, total, before[top], before.total()):
            then = percent(before[top] / before.total())
            yield Found(
                kind="dominance",
                column=name,
                said=f"{percent(count / total)} of the new rows with {visible(value)} have "
                f"{label} {visible(top)}; of the accepted ones {then} have it.",
                share=count / total,
                examples=(value,),
            )
            return
