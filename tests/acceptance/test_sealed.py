"""No rows of the analysis split reach a step that fits, chooses or trains."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import raypipe
from raypipe.app.cycle import cycle
from raypipe.app.look import look
from raypipe.config.data import GroupSplit
from raypipe.config.load import load
from raypipe.engine.graph import Graph, Ref, build, node_of, path_of
from raypipe.stages.data import dataset_at
from raypipe.store.versions import open_store
from raypipe.values.dataset import Dataset, Shard, TensorFile
from raypipe.values.split import split_of
from raypipe.values.uri import parse_uri
from tests.acceptance import tiny

CONFIGS = sorted((Path(raypipe.__file__).parent.parent / "configs").rglob("*.yaml"))
LEARN = ("fit", "trial", "choose", "recall", "train")
"""Steps that a model is fitted by or chosen by."""
OPEN = {("profile_shard", "train"), ("merge_profiles", "train"), ("merge_profiles", "validation")}
OPEN |= {("transform_shards", "train"), ("transform_shards", "validation")}
"""What of a step that reads all splits may go into one that learns."""
HOLDS_ALL = ("profile_shard", "merge_profiles", "trace_shard", "transform_shards", "evaluate")
"""Steps whose whole output holds or was made from analysis rows, or could be."""
SHARDS = tuple(
    Shard(path=f"{n}.parquet", object_id=f"blake2b:{n}", size=1, location=f"file:///{n}")
    for n in range(3)
)


def refs_in(value: Any) -> Iterator[Ref]:
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from refs_in(one)
    elif isinstance(value, dict):
        yield from refs_in(list(value.values()))


def unsealed(graph: Graph) -> list[str]:
    """Name what reaches a learning step of a graph though it may hold analysis rows."""
    found, looked = [], 0
    for node in graph.nodes.values():
        if node.step is None or node.step.name not in LEARN:
            continue
        for name, argument in node.arguments.items():
            for ref in refs_in(argument):
                looked += 1
                above = graph.nodes[node_of(ref)]
                step = above.step.name if above.step is not None else above.asks
                part = str(path_of(ref)[0]) if path_of(ref) else ""
                if step in HOLDS_ALL and (step, part) not in OPEN:
                    found.append(f"{node.name}.{name}: {step}.{part}")
            if any(isinstance(one, Dataset | Shard) for one in values_in(argument)):
                found.append(f"{node.name}.{name}: raw rows")
    assert looked
    return found


def values_in(value: Any) -> Iterator[Any]:
    """Walk a value and all that it holds."""
    yield value
    if isinstance(value, list | tuple):
        for one in value:
            yield from values_in(one)
    elif isinstance(value, dict):
        yield from values_in(list(value.values()))
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from values_in(getattr(value, field.name))


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.name)
def test_nothing_of_the_analysis_split_is_handed_to_what_learns(file):
    config = load(file)
    dataset = Dataset(shards=SHARDS, uri=config.data.dataset, commit="c")
    graph = build(lambda: cycle(config, dataset), config.name, {})
    assert unsealed(graph) == []


def test_a_cycle_that_broke_the_seal_would_be_seen(monkeypatch):
    """The walk can fail: the whole profile in place of the train split's is named."""
    from raypipe.stages import preprocessing

    config = load(CONFIGS[0])
    dataset = Dataset(shards=SHARDS, uri=config.data.dataset, commit="c")

    def open_fit(*given: Any, **more: Any) -> Any:
        whole = [Ref(node_of(one)) if isinstance(one, Ref) else one for one in given]
        return preprocessing.fit(*whole, **more)

    monkeypatch.setattr("raypipe.app.cycle.fit", open_fit)
    graph = build(lambda: cycle(config, dataset), config.name, {})
    assert "fit.train: merge_profiles." in unsealed(graph)


def test_what_a_recorded_training_was_given_holds_the_other_two_splits_and_no_more(trained):
    """By the ledger: each input of the training is traced to what made it, and its rows counted."""
    workshop = look(trained.folder / ".raypipe")
    ledger, codec = workshop.ledger, workshop.codec
    (run,) = [one.id for one in ledger.list_runs() if one.pipeline == "tiny"]
    results = {
        state.name.split("[")[0] + f"@{state.name}": ledger.result_of(state.key)
        for state in ledger.run_steps(run)
        if state.key is not None
    }
    made: dict[str, tuple[str, str]] = {}
    rows: dict[str, int] = {}
    for name, result in results.items():
        if result is None or (step := name.split("@")[0]) not in ("transform_shards", "fit"):
            continue
        manifest = workshop.artifacts.read(result.root)
        for part in ("train", "validation") if step == "transform_shards" else ("signature",):
            digest, part_of = codec.field(manifest, (part,))
            made[digest] = (step, part)
            if step == "transform_shards":
                file: TensorFile = codec.decode(part_of, workshop.artifacts)
                assert pq.read_metadata(file.file).num_rows == file.rows
                rows[digest] = file.rows
    trained_by = results["train@train"]
    assert trained_by is not None
    given = trained_by.explanation.inputs
    assert {made.get(digest) for digest in given.values()} == {
        ("transform_shards", "train"),
        ("transform_shards", "validation"),
        ("fit", "signature"),
    }
    raw = [tiny.rows(first) for first in (0, 20, 40)]
    splits = np.concatenate([split_of(part, GroupSplit(columns="day")) for part in raw])
    for number, name in enumerate(("train", "validation")):
        own = [rows[digest] for key, digest in given.items() if key.startswith(f"{name}[")]
        assert sum(own) == int((splits == number).sum()) > 0
    assert (splits == 2).any()


def test_each_look_counts_whatever_the_verdict_and_another_threshold_is_none(imported):
    def looks() -> int:
        workshop = look(imported.folder / ".raypipe")
        versions = open_store(parse_uri("local://tiny/main"), workshop.paths.home)
        dataset = dataset_at("local://tiny/main", versions)
        return workshop.ledger.looks(workshop.codec.encode(dataset).digest)

    assert looks() == 0
    strict = ("--set", "analysis.thresholds.auc.at_least=0.999")
    refused = tiny.run(imported, *strict)
    assert refused.result["error"]["kind"] == "NotBlessed"
    assert looks() == 1
    assert tiny.run(imported).result["status"] == "waiting"  # on what was measured then
    assert looks() == 1
    assert tiny.run(imported, "--force", "evaluate").result["status"] == "waiting"
    assert looks() == 2
