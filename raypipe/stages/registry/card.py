"""The model card: what a person who meets the model should know, in Markdown."""

from raypipe.values.version import ModelVersion


def card(version: ModelVersion) -> str:
    """Return a model's card; what only its makers know is left for them to write."""
    lineage, log = version.lineage, version.changelog
    metrics = "\n".join(
        f"| {name} | {value:.4f} | {low:.4f} to {high:.4f} |"
        for name, (value, low, high) in version.metrics.items()
    )
    features = "\n".join(f"- {f.name} ({f.type})" for f in lineage.signature.features)
    changes = "\n".join(
        f"- {line}" for line in (*log.reasons, *log.data, *log.code, *log.settings, *log.metrics)
    )
    rows = ", ".join(f"{split} {count:,}" for split, count in lineage.rows.items())
    label = lineage.signature.label
    return f"""# {version.model} {version.version}

Approved by {version.approved_by}. Predicts `{label.name}` ({label.task}).

## Intended use

To be written by those who know: who asks this model, what for, and what it must not be used for.

## Data

{lineage.dataset} at commit {lineage.commit[:12]}, {len(lineage.shards)} shards. Rows: {rows}.

## Metrics on the sealed analysis split

| metric | value | interval |
|---|---|---|
{metrics}

## What changed

{changes}

## What a request holds

{features}

## Limits

The metrics hold for rows like those of the data above. Slices with few rows have wide intervals:
see the report.
"""
