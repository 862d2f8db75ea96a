"""Captured rows that a review accepted become a commit of the data, once."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raypipe.app.imports import remove_left, under_way
from raypipe.app.outbox import Handler
from raypipe.engine.drive import Listener
from raypipe.engine.records import Actor, Effect, Review
from raypipe.errors import EffectRefused, ValidationStopped
from raypipe.fault_points import fault_point
from raypipe.store.rows import CaptureRow
from raypipe.store.temporary import temporary_folder
from raypipe.store.versions import VersionStore
from raypipe.values.feedback import Captured
from raypipe.values.uri import DatasetUri, parse_uri

if TYPE_CHECKING:
    from raypipe.app.assemble import Workshop
    from raypipe.config.cycle import CycleConfig
    from raypipe.store.rows import OutboxRow

REVIEW = "review_captured"
SUFFIX = ".feedback"
"""Of the name of a model's feedback in the ledger."""
EFFECT = "raypipe.effect"
"""What a commit says of the effect that it was made for."""


def of_review(review: Review) -> tuple[Effect, ...]:
    """Return what the approval of a review asks for."""
    if review.step != REVIEW or not review.pipeline.endswith(SUFFIX):
        return ()
    key = f"captured:{review.project}:{review.pipeline}:{review.evidence}"
    return (Effect(key=key, kind="captured", payload={"review": review.id}),)


def handler(config: "CycleConfig", file: Path, listen: Listener) -> Handler:
    """Return how accepted rows are published by these settings."""

    def do(workshop: "Workshop", row: "OutboxRow") -> None:
        _publish(workshop, row, config, file, listen)

    def already_done(workshop: "Workshop", row: "OutboxRow") -> bool:
        return _is_published(workshop, row, config)

    return Handler(do=do, already_done=already_done, at_rest=False)


def _by_settings_of_then(workshop: "Workshop", row: "OutboxRow") -> None:
    """Publish by the settings of the run that offered the rows."""
    config, file = _settings_of_then(workshop, row)
    _publish(workshop, row, config, file, lambda event: None)


def _is_published_by_settings_of_then(workshop: "Workshop", row: "OutboxRow") -> bool:
    return _is_published(workshop, row, _settings_of_then(workshop, row)[0])


def _settings_of_then(workshop: "Workshop", row: "OutboxRow") -> tuple["CycleConfig", Path]:
    from raypipe.config.load import from_json

    run = workshop.ledger.get_run(workshop.ledger.get_review(row.payload["review"]).run)
    return from_json(run.settings), Path(run.parameters["target"])


def _publish(
    workshop: "Workshop", row: "OutboxRow", config: "CycleConfig", file: Path, listen: Listener
) -> None:
    review = workshop.ledger.get_review(row.payload["review"])
    if review.status != "approved":
        raise EffectRefused(f"review {review.id} is {review.status}, not approved")
    every = captured_of(workshop, review.evidence)
    done = workshop.ledger.captures(review.project, review.pipeline)
    before = [captured_of(workshop, one.evidence) for one in done]
    captured = without(every, before, config.data.key)
    commit = _commit(workshop, config, file, captured, row, listen)
    _record(workshop, review, commit, captured.count)


def _is_published(workshop: "Workshop", row: "OutboxRow", config: "CycleConfig") -> bool:
    """Ask the ledger, then the version store, which may know more than it."""
    review = workshop.ledger.get_review(row.payload["review"])
    known = workshop.ledger.captures(review.project, review.pipeline)
    if any(one.evidence == review.evidence for one in known):
        return True
    captured = captured_of(workshop, review.evidence)
    uri = parse_uri(captured.into)
    found = _made_for(row.key, uri, workshop.versions(uri, store=config.store))
    if found is None:
        return False
    commit, rows = found
    _record(workshop, review, commit, rows)
    return True


def _made_for(key: str, uri: DatasetUri, versions: VersionStore) -> tuple[str, int] | None:
    """Return the commit that was made for an effect, and its rows, if the branch holds it."""
    for commit in versions.log(uri.ref):
        if commit.meta.get(EFFECT) == key:
            return commit.id, int(commit.meta["raypipe.rows"])
    return None


def _record(workshop: "Workshop", review: Review, commit: str, rows: int) -> None:
    actor = review.actor or workshop.actor
    row = CaptureRow(
        evidence=review.evidence,
        commit=commit,
        rows=rows,
        actor=Actor(user=actor.user, host=actor.host, name=actor.name),
        time=workshop.ports().now(),
    )
    workshop.ledger.add_capture(review.project, review.pipeline, row)
    fault_point("capture.recorded")


def captured_of(workshop: "Workshop", evidence: str) -> Captured:
    """Return the rows that a review was about."""
    value: Any = workshop.codec.decode(workshop.artifacts.read(evidence), workshop.artifacts)
    assert isinstance(value, Captured)
    return value


def without(captured: Captured, accepted: Sequence[Captured], key: Sequence[str]) -> Captured:
    """Leave out the rows that became data by another capture, by their request or by their key.

    One that was offered while another waited for its review holds the rows of that one too.
    """
    import numpy as np
    import pyarrow as pa

    from raypipe.values.hashing import row_hash

    there = {name for one in accepted for name in one.requests}
    fresh = np.array([name not in there for name in captured.requests], bool)
    if key and accepted:
        known = np.concatenate([row_hash(one.rows, key) for one in accepted])
        fresh &= ~np.isin(row_hash(captured.rows, key), known)
    if fresh.all():
        return captured
    return replace(
        captured,
        rows=captured.rows.filter(pa.array(fresh)),
        requests=tuple(n for n, is_fresh in zip(captured.requests, fresh, strict=True) if is_fresh),
        labels=tuple(
            text for text, is_fresh in zip(captured.labels, fresh, strict=True) if is_fresh
        ),
    )


def _commit(
    workshop: "Workshop",
    config: "CycleConfig",
    file: Path,
    captured: Captured,
    row: "OutboxRow",
    listen: Listener,
) -> str:
    """Write, audit, publish: on a branch, validated there, merged when it passes."""
    from pyarrow import parquet

    from raypipe.app.audit import merging, validate_branch
    from raypipe.app.prepare import shown
    from raypipe.app.schema_file import schema_beside
    from raypipe.stages.data import dataset_at, importing

    uri = parse_uri(captured.into)
    versions = workshop.versions(uri, store=config.store)
    if not captured.count:
        return dataset_at(captured.into, versions).commit
    evidence = workshop.ledger.get_review(row.payload["review"]).evidence
    remove_left(workshop, uri, versions)
    with under_way(workshop, uri) as begin:
        with temporary_folder("raypipe-captured-") as folder:
            shard = folder / f"captured-{evidence[:12]}.parquet"
            parquet.write_table(captured.rows, shard)
            imported = importing.import_files(
                [shard],
                uri,
                versions,
                workshop.actor,
                meta={EFFECT: row.key},
                beside=schema_beside(workshop, config, file, uri),
                begin=begin,
            )
        if imported.unchanged:
            return imported.commit
        try:
            validate_branch(workshop, config, file, uri, imported.branch, versions, listen)
        except ValidationStopped as error:
            error.hint = (
                f"{error.hint or ''} The review stands: `raypipe feedback join {shown(file)}` "
                "tries again, once the data is allowed."
            )
            raise
        merge = merging(workshop, config, file, uri, imported.branch, versions, listen)
        return importing.publish(
            imported, uri, versions, workshop.actor, accepted=True, merge=merge
        )


CAPTURED = Handler(
    do=_by_settings_of_then, already_done=_is_published_by_settings_of_then, at_rest=False
)
