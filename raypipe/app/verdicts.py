"""What was said of data, by validation or by a person: found by content, wherever it lies."""

from collections.abc import Sequence
from dataclasses import replace

from raypipe.app.assemble import Workshop
from raypipe.app.outcome import Outcome
from raypipe.errors import NotFound, ValidationStopped
from raypipe.stages.data import dataset_at
from raypipe.store.rows import ProtectionRow, VerdictRow, Word
from raypipe.store.versions import VersionStore
from raypipe.values.dataset import Dataset
from raypipe.values.uri import DatasetUri, parse_uri

# --- decisions (pure) ---------------------------------------------------------------------------


def what_lets_in(verdicts: Sequence[VerdictRow]) -> VerdictRow | None:
    """Return the newest verdict that lets data in; None if there is none."""
    return next((one for one in verdicts if one.lets_in), None)


def said_of(verdicts: Sequence[VerdictRow]) -> str:
    """Return in words how data stands; verdicts are newest first."""
    found = what_lets_in(verdicts)
    if found is not None and found.verdict == "accepted":
        by = found.actor.name or found.actor.user
        return f"accepted by {by}: {found.note}" if found.note else f"accepted by {by}"
    if found is not None:
        return f"validated by run {found.run}"
    if verdicts:
        return f"stopped by the validation of run {verdicts[0].run}"
    return "never validated"


# --- facts --------------------------------------------------------------------------------------


def data_at(uri: DatasetUri, versions: VersionStore) -> Dataset:
    """Return the shards under a reference; there may be none."""
    try:
        return dataset_at(str(uri), versions)
    except NotFound:
        return Dataset(shards=(), uri=str(uri), commit=versions.resolve(uri.ref))


def content_of(workshop: Workshop, dataset: Dataset) -> str:
    """Return the digest that keys know a dataset by: of its shards' paths and object ids."""
    return workshop.codec.encode(dataset).digest


def verdicts_on(workshop: Workshop, dataset: Dataset) -> list[VerdictRow]:
    """Return what was said of a dataset, newest first."""
    return workshop.ledger.gate.verdicts(content_of(workshop, dataset))


def record(
    workshop: Workshop,
    dataset: Dataset,
    word: Word,
    *,
    run: str = "",
    evidence: str = "",
    note: str = "",
) -> None:
    """Record what was said of a dataset."""
    at = replace(parse_uri(dataset.uri), ref=dataset.commit)
    workshop.ledger.gate.add_verdict(
        VerdictRow(
            content=content_of(workshop, dataset),
            verdict=word,
            dataset=str(at),
            run=run,
            evidence=evidence,
            actor=workshop.actor,
            note=note,
        )
    )


def record_run(workshop: Workshop, dataset: Dataset, outcome: Outcome) -> None:
    """Record what the validation of a run said of a dataset, if it came so far."""
    steps = {state.name: state for state in outcome.steps}
    looked, let_in = steps.get("validate"), steps.get("admit")
    if looked is None or looked.digest is None or let_in is None:
        return
    stopped = isinstance(outcome.error, ValidationStopped)
    if let_in.digest is None and not stopped:
        return
    word: Word = "pass" if let_in.digest is not None else "stop"
    record(workshop, dataset, word, run=outcome.run or "", evidence=looked.digest)


def protections_of(workshop: Workshop, uri: DatasetUri) -> list[ProtectionRow]:
    """Return the protections that a reference's branch has: of all of it, or of a path in it."""
    wanted = (uri.scheme, uri.repo, uri.ref)
    every = ((row, parse_uri(row.dataset)) for row in workshop.ledger.gate.protections())
    return [row for row, of in every if (of.scheme, of.repo, of.ref) == wanted]
