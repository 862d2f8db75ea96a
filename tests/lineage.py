"""What a finished run's learning steps were given, traced through the ledger."""

from dataclasses import fields
from pathlib import Path

from raypipe.app.look import look
from raypipe.engine.records import Result

LEARN = ("fit", "trial", "choose", "recall", "train")
"""Steps that a model is fitted by or chosen by."""
OPEN = {
    "profile_shard": ("train",),
    "merge_profiles": ("train", "validation"),
    "transform_shards": ("train", "validation"),
}
"""Steps whose output holds rows of each split, with the parts that may go into one that learns."""
CLOSED = ("trace_shard", "search_rows", "sample_shard", "check_data", "evaluate", "report_data")
"""Steps whose whole output was made from analysis rows, too."""


def unsealed(home: Path, pipeline: str) -> tuple[list[str], int]:
    """Name each input of a learning step, in any run, that may hold analysis rows.

    Returns how many inputs were looked at as well. Only the schema that a dataset was let in by
    may come from all rows: a step is asked no further there.
    """
    workshop = look(home)
    ledger, codec = workshop.ledger, workshop.codec
    results: dict[str, tuple[str, Result]] = {}
    for run in ledger.list_runs():
        if run.pipeline != pipeline:
            continue
        for state in ledger.run_steps(run.id):
            result = ledger.result_of(state.key) if state.key is not None else None
            if result is not None:
                results[result.root] = (state.name.split("[")[0].split("#")[0], result)
    closed: dict[str, str] = {}
    for root, (step, _) in results.items():
        if step in CLOSED or step in OPEN:
            closed[root] = step
        if step in OPEN:
            value = codec.decode(workshop.artifacts.read(root), workshop.artifacts)
            for part in (one.name for one in fields(value)):
                digest, _ = codec.field(workshop.artifacts.read(root), (part,))
                if part not in OPEN[step]:
                    closed[digest] = f"{step}.{part}"
    raw = {
        result.explanation.parameters[name]
        for _, result in results.values()
        for name in ("dataset", "shard")
        if name in result.explanation.parameters
    }
    found, looked = [], 0
    for step, result in results.values():
        if step not in LEARN:
            continue
        told = result.explanation
        given = {**told.inputs, **told.parameters, **told.beside}
        for name, digest in given.items():
            looked += 1
            if digest in closed:
                found.append(f"{step}.{name}: {closed[digest]}")
            if digest in raw:
                found.append(f"{step}.{name}: raw rows")
    return found, looked
