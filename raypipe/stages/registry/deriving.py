"""The version number and the changelog that follow from what changed: pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from raypipe.values.version import FOUND, Changelog, Level, Lineage
from raypipe.values.words import amount

SHOWN = 12
"""Most lines that one part of a changelog lists."""
NOT_SETTINGS = ("training.seed", "tuning.seed")
"""Settings whose change makes a patch: another seed is the same recipe."""


def derive(
    before: Lineage | None, now: Lineage, version: str | None
) -> tuple[str, Level, tuple[str, ...]]:
    """Return the next version, the level of the change, and the reasons for it.

    MAJOR where what a request or a response looks like changed, or the set of classes; MINOR where
    code, features, architecture or settings as written changed; PATCH where only data, seed,
    packages or what a sweep found did.
    """
    if before is None or version is None:
        return "1.0.0", "first", ("the first version",)
    major, minor, patch = (int(part) for part in version.split("."))
    if reasons := tuple(contract_changes(before, now)):
        return f"{major + 1}.0.0", "major", reasons
    if reasons := tuple(recipe_changes(before, now)):
        return f"{major}.{minor + 1}.0", "minor", reasons
    return f"{major}.{minor}.{patch + 1}", "patch", tuple(patch_reasons(before, now))


def contract_changes(before: Lineage, now: Lineage) -> Iterator[str]:
    """Yield how the request or the response changed."""
    old = {f.name: f for f in before.signature.features}
    new = {f.name: f for f in now.signature.features}
    for name in sorted({*old, *new}):
        if name not in new:
            yield f"the request lost {name}"
        elif name not in old:
            yield f"the request gained {name}"
        elif old[name].type != new[name].type:
            yield f"{name} was {old[name].type} and is {new[name].type}"
    if before.signature.label.contract != now.signature.label.contract:
        yield "the label or its classes changed"


def recipe_changes(before: Lineage, now: Lineage) -> Iterator[str]:
    """Yield how code and settings changed."""
    code = list(changed_code(before, now))
    if code:
        yield f"code changed: {', '.join(code[:3])}" + (", …" if len(code) > 3 else "")
    settings = list(changed_settings(before, now))
    if settings:
        yield f"settings changed: {', '.join(name for name, _, _ in settings[:3])}"


def patch_reasons(before: Lineage, now: Lineage) -> Iterator[str]:
    """Yield what else changed."""
    if before.shards != now.shards:
        yield "the data changed"
    if before.packages != now.packages:
        yield "packages changed"
    if _found(before) != _found(now):
        yield "the sweep found other settings"
    old, new = _flat(before.settings), _flat(now.settings)
    if any(old.get(key) != new.get(key) for key in NOT_SETTINGS):
        yield "the seed changed"


def changed_code(before: Lineage, now: Lineage) -> Iterator[str]:
    """Yield the symbols whose code was added, removed or changed."""
    for name in sorted({*before.code, *now.code}):
        if before.code.get(name) != now.code.get(name):
            yield name


def changed_settings(before: Lineage, now: Lineage) -> Iterator[tuple[str, Any, Any]]:
    """Yield key, old and new value of each setting that changed, the seed left out."""
    old, new = _flat(before.settings), _flat(now.settings)
    for key in sorted({*old, *new}):
        written = key not in NOT_SETTINGS and not key.startswith(f"{FOUND}.")
        if written and old.get(key) != new.get(key):
            yield key, old.get(key), new.get(key)


def changed_findings(before: Lineage | None, now: Lineage) -> Iterator[str]:
    """Say what a sweep found, where that is not what it was."""
    old, new = _found(before) if before else {}, _found(now)
    for key in sorted({*old, *new}):
        if key not in new:
            yield f"{key}: as written, no longer {old[key]}"
        elif key not in old:
            yield f"{key}: {new[key]}, found by a sweep"
        elif old[key] != new[key]:
            yield f"{key}: {old[key]} → {new[key]}, found by a sweep"


def _found(lineage: Lineage) -> dict[str, Any]:
    return dict(lineage.settings.get(FOUND) or {})


def changelog(
    before: Lineage | None,
    now: Lineage,
    level: Level,
    reasons: tuple[str, ...],
    metrics: tuple[str, ...],
) -> Changelog:
    """Put in sentences what changed in data, code, settings and metrics."""
    if before is None:
        data = (f"{amount(sum(now.rows.values()), 'row')} in {amount(len(now.shards), 'shard')}",)
        return Changelog(
            level=level,
            reasons=reasons,
            data=data,
            code=(),
            settings=_bounded(changed_findings(None, now)),
            metrics=metrics,
        )
    return Changelog(
        level=level,
        reasons=reasons,
        data=_bounded(_data_sentences(before, now)),
        code=_bounded(f"{name} changed" for name in changed_code(before, now)),
        settings=_bounded(
            [
                *(f"{key}: {old} → {new}" for key, old, new in changed_settings(before, now)),
                *changed_findings(before, now),
            ]
        ),
        metrics=metrics,
    )


def _data_sentences(before: Lineage, now: Lineage) -> Iterator[str]:
    difference = sum(now.rows.values()) - sum(before.rows.values())
    if difference:
        verb = "added" if difference > 0 else "removed"
        yield f"{amount(abs(difference), 'row')} {verb} ({sum(now.rows.values()):,} in all)"
    for path in sorted({*before.shards, *now.shards}):
        old, new = before.shards.get(path), now.shards.get(path)
        if old != new:
            how = "added" if old is None else "removed" if new is None else "changed"
            yield f"shard {path} {how}"
    for name in sorted({*before.packages, *now.packages}):
        old, new = before.packages.get(name), now.packages.get(name)
        if old != new:
            yield f"package {name}: {old or 'absent'} → {new or 'absent'}"


def _bounded(sentences: Iterator[str] | Any) -> tuple[str, ...]:
    every = tuple(sentences)
    if len(every) <= SHOWN:
        return every
    return (*every[:SHOWN], f"and {len(every) - SHOWN} more")


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
