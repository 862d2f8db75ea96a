"""Feedback as a person asks for it: labels told by a file, and everything joined."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from raypipe.app import captured, outbox
from raypipe.app.assemble import Workshop, open_workshop
from raypipe.app.captured import REVIEW, SUFFIX
from raypipe.app.feedback import Asked, feedback
from raypipe.app.home import check_home, find_home
from raypipe.app.look import look, workshop_of
from raypipe.app.models import read_rows
from raypipe.app.outcome import Outcome
from raypipe.app.prepare import Prepared, shown
from raypipe.app.request import RunRequest
from raypipe.app.run import run_prepared
from raypipe.app.schema_file import read_schema, schema_path
from raypipe.app.targets import parse_target
from raypipe.config.cycle import CycleConfig
from raypipe.config.load import load, to_json
from raypipe.engine.drive import Listener
from raypipe.engine.graph import build
from raypipe.engine.records import Json
from raypipe.errors import NotFound, UsageError
from raypipe.fault_points import fault_point
from raypipe.stages.data import dataset_at
from raypipe.store.faults import disk_faults
from raypipe.store.locations import footer_of
from raypipe.store.rows import ModelVersionRow
from raypipe.store.segments import SegmentWriter, being_read, read_records, read_segment, segments
from raypipe.values.feedback import LAST_ROW, Findings, LogPart, Registered
from raypipe.values.label import label_text, told_text
from raypipe.values.signature import Label
from raypipe.values.uri import parse_uri
from raypipe.values.validation import Anomaly

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN = 5
LONGEST_ID = 256
"""Letters of a request's id, ours or the client's, as the gateway takes it."""

# --- labels by a file ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Told:
    request: str
    row: int
    label: Any

    @property
    def of(self) -> tuple[str, int]:
        return self.request, self.row


def add(file: Path, home: Path | None, *, by: str | None = None) -> Json:
    """Keep the labels of a file, none if one makes no sense; say how many match a request.

    StoreError if the log cannot be written: then some may be kept, and adding the file again keeps
    the others. The file has `request_id`, perhaps `request_row` (else 0), and the label under the
    model's name for it, or `label`. What was told before just so is not told again.
    """
    import time

    from raypipe.stages.serving.gateway import new_id

    table = read_rows(file)
    workshop = look(home)
    requests, before = _known(workshop)
    labels = _labels_of(workshop)
    told = list(_told(table, file, {label.name for label in labels.values()}))
    _check(told, requests, labels, file)
    fresh = [one for one in told if before.get(one.of) != told_text(one.label)]
    unmatched = list(dict.fromkeys(one.request for one in told if one.of not in requests))
    kept = workshop_of(home, by=by)
    writer = SegmentWriter(kept.paths.requests, level="process")
    now = time.time()
    for one in fresh:
        record = {
            "kind": "label",
            "id": new_id(),
            "time": now,
            "model": requests.get(one.of),
            "source": "file",
            "by": kept.actor.name or kept.actor.user,
            "request": one.request,
            "row": one.row,
            "label": one.label,
        }
        writer.append(orjson.dumps(record))
        fault_point("label.kept")
    with disk_faults(f"the request log {str(kept.paths.requests)!r} cannot be written"):
        writer.rotate()  # which makes it durable, or says why it is not
    writer.close()
    missing = sum(one.of not in requests for one in told)
    return {
        "labels": len(told),
        "kept": len(fresh),
        "told_before": len(told) - len(fresh),
        "matched": len(told) - missing,
        "unmatched": missing,
        "examples": unmatched[:SHOWN],
    }


def _known(workshop: Workshop) -> tuple[dict[tuple[str, int], str], dict[tuple[str, int], str]]:
    """Return the rows that the log holds, each with its model, and what was told of them last."""
    requests: dict[tuple[str, int], str] = {}
    told: dict[tuple[str, int], tuple[float, str | None]] = {}
    with being_read(workshop.paths.requests):
        for record in read_records(workshop.paths.requests):
            if record["kind"] == "request":
                for row in range(record["rows"]):
                    requests[record["id"], row] = record["model"]
                    if client := record.get("client_id"):
                        requests.setdefault((client, row), record["model"])
            elif record["kind"] == "label":
                of = (record["request"], record["row"])
                if record["time"] >= told.get(of, (0.0, None))[0]:
                    told[of] = record["time"], told_text(record["label"])
    return requests, {of: text for of, (_, text) in told.items() if text is not None}


def _labels_of(workshop: Workshop) -> dict[str, Label]:
    """Return the label of each model, as its newest version has it."""
    ledger = workshop.ledger
    return {model: label_of(ledger.versions(model)[0]) for model in ledger.models()}


def label_of(row: ModelVersionRow) -> Label:
    """Return what a version predicts."""
    said = row.lineage["signature"]["label"]
    return Label(name=said["name"], task=said["task"], classes=tuple(said["classes"]))


def _told(table: "pa.Table", file: Path, names: set[str]) -> Iterator[_Told]:
    if "request_id" not in table.column_names:
        raise UsageError(
            f"{file.name!r} has no column 'request_id'; it has {', '.join(table.column_names[:8])}",
            hint="give what `raypipe predict --out` wrote, with the label beside it",
        )
    columns = [name for name in ("label", *sorted(names)) if name in table.column_names]
    if not columns:
        wanted = " or ".join(map(repr, sorted({"label", *names})))
        raise UsageError(
            f"{file.name!r} has no column {wanted}; it has {', '.join(table.column_names[:8])}",
            hint="name the column of labels `label`, or as a model of this home names it",
        )
    ids = table["request_id"].to_pylist()
    rows = table["request_row"].to_pylist() if "request_row" in table.column_names else None
    seen: set[tuple[str, int]] = set()
    for number, value in enumerate(table[columns[0]].to_pylist()):
        if value is None:  # not known yet: another file may say it
            continue
        row = 0 if rows is None else rows[number]
        if not isinstance(ids[number], str) or not 0 < len(ids[number]) <= LONGEST_ID:
            raise UsageError(
                f"{file.name!r}, row {number}: request_id is {_short(ids[number])}",
                hint=f"it is a text of 1 to {LONGEST_ID} letters",
            )
        if type(row) is not int or not 0 <= row <= LAST_ROW:
            raise UsageError(
                f"{file.name!r}, row {number}: request_row is {row!r}",
                hint=f"rows of a request count from 0, to {LAST_ROW} at most",
            )
        if isinstance(value, bytes | dict) or value != value:  # a NaN
            raise UsageError(
                f"{file.name!r}, row {number}: the label is {_short(value)}",
                hint="a label is a number, a text, true or false, or a list of classes",
            )
        one = _Told(request=ids[number], row=row, label=_plain(value))
        if one.of in seen:
            raise UsageError(
                f"{file.name!r}, row {number}: request {one.request}, row {row} is there twice",
                hint="leave the one out that does not hold",
            )
        seen.add(one.of)
        yield one
    if not seen:
        raise UsageError(f"{file.name!r} tells no label: the column {columns[0]!r} is empty")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _check(
    told: list[_Told],
    requests: Mapping[tuple[str, int], str],
    labels: Mapping[str, Label],
    file: Path,
) -> None:
    """Raise UsageError for a label that is no class of the model that it is told of."""
    only = next(iter(labels.values())) if len(labels) == 1 else None
    for one in told:
        label = labels.get(requests.get(one.of, ""), only)
        if label is not None and label_text(one.label, label) is None:
            known = ", ".join(label.classes[:5]) or "a number"
            known = f"a list of classes, of: {known}" if label.task == "multilabel" else known
            raise UsageError(
                f"{file.name!r}: request {one.request}, row {one.row} has the label "
                f"{one.label!r}; {label.name} is {known}",
                hint="mend the file; nothing of it was kept",
            )


# --- joining ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class JoinOutcome:
    """What came of joining: the run, what it found, and the commits that were made first."""

    outcome: Outcome
    published: tuple[Json, ...] = ()
    joined: Json = None
    found: Findings | None = None
    asked: tuple[Anomaly, ...] = ()
    """What of the rows that were asked breaks the schema as it is in serving."""

    def to_json(self) -> Json:
        """The run's record, with what was found."""
        found = self.found
        return {
            **self.outcome.to_json(),
            "outputs": {},
            "published": list(self.published),
            "labels": self.joined,
            "asked": [
                {"name": one.name, "severity": one.severity, "message": one.message}
                for one in self.asked
            ],
            "quality": [] if found is None else [_quality(one) for one in found.quality],
            "drift": [] if found is None else [_drift(one) for one in found.drift],
            "captured": None
            if found is None
            else {
                "rows": found.captured.count,
                "offered": found.offered,
                "said": found.said,
                "days": found.days,
                "label": found.shares,
                "left_out": found.left_out,
                "changed": found.changed,
                "into": found.captured.into,
            },
        }


def _quality(one: Any) -> Json:
    return {
        "version": one.version,
        "asked": one.asked,
        "labelled": one.labelled,
        "metrics": {n: [e.value, e.low, e.high] for n, e in one.metrics.items()},
        "registered": {n: list(figures) for n, figures in one.registered.items()},
        "groups": one.groups,
        "by": list(one.by),
        "said": one.said,
    }


def _drift(one: Any) -> Json:
    return {
        "version": one.version,
        "rows": one.rows,
        "columns": {
            name: {"distance": d.distance, "threshold": d.threshold, "drifted": d.drifted}
            for name, d in one.columns.items()
        },
        "predictions": None
        if one.predictions is None
        else {
            "distance": one.predictions.distance,
            "threshold": one.predictions.threshold,
            "drifted": one.predictions.drifted,
        },
        "unseen": one.unseen,
        "said": one.said,
    }


def join(
    settings: Path,
    home: Path | None,
    *,
    sets: tuple[str, ...] = (),
    by: str | None = None,
    listen: Listener = lambda event: None,
) -> JoinOutcome:
    """Publish the captures that were accepted, then join what was asked with what was told.

    NotFound where the model was never asked. The run waits where captured rows are offered.
    """
    target = parse_target(str(settings))
    if target.is_script:
        raise UsageError(f"{settings} is a script", hint="give the settings file of a model")
    config = load(target.path, sets)
    found = find_home(home, target.root)
    check_home(found)
    workshop = open_workshop(target.root, found, write=True, by=by, store=config.store)
    published = tuple(publish_accepted(workshop, config, target.path, listen))
    with being_read(workshop.paths.requests):  # until all that was listed is read
        prepared = _prepare(workshop, config, target.path, sets, home)
        outcome = run_prepared(prepared, RunRequest(), listen)
    return _outcome(workshop, prepared, outcome, published)


def _prepare(
    workshop: Workshop, config: CycleConfig, file: Path, sets: tuple[str, ...], home: Path | None
) -> Prepared:
    uri = parse_uri(config.data.dataset)
    dataset = dataset_at(config.data.dataset, workshop.versions(uri))
    model = config.registry.model or config.name
    rows = {row.version: row for row in workshop.ledger.versions(model)}
    if not rows:
        raise NotFound(
            f"there is no version of {model} yet", hint=f"make one: raypipe run {shown(file)}"
        )
    asked = _asked_versions(workshop, model)
    versions = [row for version, row in rows.items() if version in asked]
    if not versions:
        raise NotFound(
            f"the request log holds no request of {model}",
            hint="`raypipe serve start` serves it, `raypipe predict` asks it",
        )
    label = label_of(versions[0])
    parts = tuple(
        LogPart(digest=one.digest, records=one.records, uuid=one.uuid, place=str(one.path))
        for one in segments(workshop.paths.requests)
    )
    columns = _columns(dataset.shards[-1].location)
    earlier = _earlier(workshop, pipeline_of(config))
    schema = read_schema(schema_path(config, file, workshop))
    known = tuple(
        Asked(
            registered=Registered(version=row.version, metrics=_metrics(workshop, row)),
            features=tuple(one["name"] for one in row.lineage["signature"]["features"]),
        )
        for row in versions
    )
    words = [word for one in sets for word in ("--set", one)]
    where = [] if home is None else ["--home", shown(home)]
    return Prepared(
        graph=build(
            lambda: feedback(config, model, label, columns, dataset, parts, known, earlier, schema),
            pipeline_of(config),
            {},
        ),
        workshop=workshop,
        lookups=lambda _: _lookups(workshop, versions),
        settings=to_json(config),
        commits={config.data.dataset: dataset.commit},
        target=str(file),
        command=" ".join(["raypipe feedback join", shown(file), *words, *where]),
    )


def pipeline_of(config: CycleConfig) -> str:
    """Return the name of a model's feedback in the ledger."""
    return f"{config.name}{SUFFIX}"


def _asked_versions(workshop: Workshop, model: str) -> set[str]:
    import pyarrow.compute as pc

    found: set[str] = set()
    for segment in segments(workshop.paths.requests):
        about = read_segment(segment, ["kind", "model", "version"])
        own = pc.and_(pc.equal(about["kind"], "request"), pc.equal(about["model"], model))
        found |= set(about.filter(own)["version"].unique().to_pylist())
    return found


def _columns(location: str) -> dict[str, str]:
    """Return the columns of the data with Arrow's names of their types."""
    schema = footer_of(location).schema.to_arrow_schema()
    return {field.name: str(field.type) for field in schema}


def _metrics(workshop: Workshop, row: ModelVersionRow) -> dict[str, tuple[float, float, float]]:
    metrics = _value(workshop, row.value).metrics
    return {name: tuple(figures) for name, figures in metrics.items()}


def _lookups(workshop: Workshop, versions: list[ModelVersionRow]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for row in versions:
        profiles = _profiles_of(workshop, row)
        found[f"version {row.version}"] = lambda _, digest=row.value: digest
        found[f"profiles of {row.version}"] = lambda _, digest=profiles: digest
    return found


def _profiles_of(workshop: Workshop, row: ModelVersionRow) -> str | None:
    """Return the digest of the profiles that a version was trained on, if they are readable."""
    from raypipe.errors import StoreError

    for state in workshop.ledger.run_steps(row.run):
        admitted = workshop.ledger.result_of(state.key or "") if state.name == "admit" else None
        if admitted is not None:
            digest = admitted.explanation.inputs["profiles"]
            try:
                workshop.codec.decode(workshop.artifacts.read(digest), workshop.artifacts)
            except StoreError:
                return None
            return digest
    return None


def _earlier(workshop: Workshop, pipeline: str) -> dict[str, str]:
    """Return the rows of the captures that were accepted, with the labels that they had."""
    found: dict[str, str] = {}
    for row in workshop.ledger.captures(workshop.project, pipeline):
        accepted = captured.captured_of(workshop, row.evidence)
        found |= dict(zip(accepted.requests, accepted.labels, strict=True))
    return found


def _value(workshop: Workshop, digest: str) -> Any:
    return workshop.codec.decode(workshop.artifacts.read(digest), workshop.artifacts)


def _outcome(
    workshop: Workshop, prepared: Prepared, outcome: Outcome, published: tuple[Json, ...]
) -> JoinOutcome:
    digests = {state.name: state.digest for state in outcome.steps}
    found, joined = None, None
    if digest := digests.get("capture"):
        found = _value(workshop, digest)
    if digest := digests.get("join"):
        counts = _value(workshop, digest).counts
        joined = {name: getattr(counts, name) for name in counts.__dataclass_fields__}
    broken = _value(workshop, digest) if (digest := digests.get("validate_asked")) else ()
    return JoinOutcome(
        outcome=outcome, published=published, joined=joined, found=found, asked=broken
    )


# --- what was accepted becomes data -------------------------------------------------------------


def publish_accepted(
    workshop: Workshop, config: CycleConfig, file: Path, listen: Listener
) -> Iterator[Json]:
    """Make each capture that was accepted a commit of the data, once, whatever the outbox says.

    Killed anywhere it goes on: the version store knows which commit was made for which. Rows that
    two accepted captures hold become data once. What validation stops stays on its branch, and
    ValidationStopped is raised.
    """
    pipeline = pipeline_of(config)
    before = {row.evidence for row in workshop.ledger.captures(workshop.project, pipeline)}
    by_these_settings = {"captured": captured.handler(config, file, listen)}
    for review in reversed(workshop.ledger.list_reviews("approved")):
        mine = (review.project, review.pipeline) == (workshop.project, pipeline)
        if not mine or review.step != REVIEW or review.evidence in before:
            continue
        (effect,) = captured.of_review(review)
        workshop.ledger.ask_for([effect])  # nothing, unless an earlier raypipe took the decision
        outbox.deliver_now(workshop, [effect.key], by_these_settings)
        into = captured.captured_of(workshop, review.evidence).into
        for row in workshop.ledger.captures(workshop.project, pipeline):
            if row.evidence == review.evidence and row.rows:
                yield {"rows": row.rows, "into": into, "commit": row.commit}
