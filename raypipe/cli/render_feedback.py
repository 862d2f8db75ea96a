"""Labels, live quality, drift and captured rows as text for people."""

from collections.abc import Iterator, Mapping
from typing import Any

from raypipe.cli.render import table
from raypipe.values.words import amount

Json = Any
SHOWN = 8
"""Columns whose drift is shown, beside those that drifted."""


def added(data: Json) -> str:
    """Return what became of a file's labels."""
    said = [f"{amount(data['kept'], 'label')} kept, of {data['labels']:,} in the file."]
    if data["told_before"]:
        said.append(f"{data['told_before']:,} were told before just so.")
    if data["unmatched"]:
        first = f", such as {data['examples'][0]}" if data["examples"] else ""
        said.append(
            f"{data['unmatched']:,} match no request in the log{first}: they are kept, and count "
            "once it is there."
        )
    if not data["matched"]:
        said.append("→ None matches: is this file of another gateway, or another home?")
    return "\n".join(said)


def joined(data: Json) -> str:
    """Return what came of joining."""
    return "\n".join(_joined(data))


def _joined(data: Json) -> Iterator[str]:
    for one in data["published"]:
        said = "accepted row is", "accepted rows are"
        yield f"{amount(one['rows'], *said)} commit {one['commit'][:12]} of {one['into']}."
    if data["published"]:
        yield ""
    if counts := data["labels"]:
        yield _labels(counts)
    if data["quality"]:
        yield f"\n{_quality(data['quality'])}"
    for one in data["drift"]:
        yield f"\n{_drift(one)}"
    if data["asked"]:
        yield "\nWhat was asked breaks the schema, as it is in serving:"
        yield from (f"  {one['message']}" for one in data["asked"])
    if captured := data["captured"]:
        yield ""
        yield from _captured(captured, data["reviews"])


def _labels(counts: Mapping[str, Any]) -> str:
    said = [
        f"{counts['joined']:,} rows have a label, {counts['waiting']:,} wait for one "
        f"({counts['told']:,} labels were told)."
    ]
    if counts["replaced"]:
        said.append(f"{counts['replaced']:,} were replaced by a later one.")
    if counts["unmatched"]:
        said.append(f"{counts['unmatched']:,} match no request, such as {counts['examples'][0]}.")
    if counts["unfit"]:
        known = ", ".join(counts["unfit_examples"])
        said.append(f"{counts['unfit']:,} are no label of the model: {known}.")
    return "\n".join(said)


def _quality(every: list[Json]) -> str:
    names = list(dict.fromkeys(name for one in every for name in one["metrics"]))
    first = names[0] if names else "quality"
    rows: list[tuple[Any, ...]] = []
    for one in every:
        figures = [
            f"{v:.4f} ({low:.4f} to {high:.4f})"
            for name in names
            for v, low, high in [one["metrics"].get(name, (float("nan"),) * 3)]
        ]
        known = [f"{one['registered'][n][0]:.4f}" if n in one["registered"] else "" for n in names]
        rows.append(
            (
                one["version"],
                f"{one['labelled']:,}",
                figures[0] if figures and not one["said"] else one["said"],
                known[0] if known else "",
            )
        )
    head = ("version", "labels", f"live {first}", f"{first} when registered")
    others = [
        f"  {one['version']}: "
        + ", ".join(f"{n} {one['metrics'][n][0]:.4f}" for n in names[1:] if n in one["metrics"])
        for one in every
        if len(names) > 1 and one["metrics"]
    ]
    return "\n".join([table(head, rows), *others])


def _drift(one: Json) -> str:
    drifted = {name: d for name, d in one["columns"].items() if d["drifted"]}
    shown = {**drifted, **dict(list(one["columns"].items())[:SHOWN])}
    rows = [
        (name, f"{d['distance']:.3f}", f"{d['threshold']:g}", "drifted" if d["drifted"] else "")
        for name, d in shown.items()
    ]
    if one["predictions"] is not None:
        d = one["predictions"]
        said = "drifted" if d["drifted"] else ""
        rows.append(("(predictions)", f"{d['distance']:.3f}", f"{d['threshold']:g}", said))
    head = (
        f"Drift of {amount(one['rows'], 'row')} that {one['version']} was asked, from its training:"
    )
    parts = [head]
    if rows:
        parts.append(table(("column", "distance", "threshold", ""), rows))
    if one["unseen"]:
        told = ", ".join(
            f"{name} in {amount(count, 'row')}" for name, count in one["unseen"].items()
        )
        parts.append(f"Categories that training did not see: {told}.")
    if one["said"]:
        parts.append(f"Not compared: {one['said']}.")
    return "\n".join(parts)


def _captured(captured: Json, reviews: list[Json]) -> Iterator[str]:
    days = f", {captured['days']}" if captured["days"] else ""
    yield f"{amount(captured['rows'], 'row')} can become data of {captured['into']}{days}."
    for name, share in captured["label"].items():
        yield f"  {name}: {share}"
    for reason, count in captured["left_out"].items():
        yield f"  left out: {count:,} that {reason}"
    if captured["changed"]:
        yield f"  {captured['changed']:,} accepted before have another label since; the data keeps"
        yield "  the labels that were accepted."
    if captured["said"]:
        yield captured["said"] + "."
    for one in reviews:
        yield f"They wait for a review: raypipe review approve {one['id']} --by NAME"
