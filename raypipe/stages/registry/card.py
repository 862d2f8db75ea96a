"""The model card: what a person who meets the model should know, in Markdown."""

from typing import Any

from raypipe.values.version import FOUND, ModelVersion
from raypipe.values.words import amount


def card(version: ModelVersion) -> str:
    """Return a model's card; what only its makers know is left for them to write."""
    lineage, log = version.lineage, version.changelog
    metrics = "\n".join(
        f"| {name} | {value:.4f} | {low:.4f} to {high:.4f} |"
        for name, (value, low, high) in version.metrics.items()
    )
    tensors = "\n".join(f"- {spec.name}, {spec}" for spec in lineage.signature.tensors)
    features = "\n".join(f"- {f.name} ({f.type})" for f in lineage.signature.features)
    changes = "\n".join(
        f"- {line}" for line in (*log.reasons, *log.data, *log.code, *log.settings, *log.metrics)
    )
    rows = ", ".join(f"{split} {count:,}" for split, count in lineage.rows.items())
    shards = amount(len(lineage.shards), "shard")
    label = lineage.signature.label
    found = "\n".join(f"| {key} | {value} |" for key, value in found_by_sweep(version).items())
    swept = f"""
## Settings that a sweep found

| setting | value |
|---|---|
{found}
"""
    return f"""# {version.model} {version.version}

Approved by {version.approved_by}. Predicts {label}.

## Intended use

To be written by those who know: who asks this model, what for, and what it must not be used for.

## Data

{lineage.dataset} at commit {lineage.commit[:12]}, {shards}. Rows: {rows}.

## Metrics on the sealed analysis split

| metric | value | interval |
|---|---|---|
{metrics}
{swept if found else ""}
## What changed

{changes}

## What a request holds

{features}

## What the model reads of it

{tensors}

## Limits

The metrics hold for rows like those of the data above. Slices with few rows have wide intervals:
see the report.
"""


def found_by_sweep(version: ModelVersion) -> dict[str, Any]:
    """Return what a sweep chose in place of the settings as written."""
    return dict(version.lineage.settings.get(FOUND) or {})
