"""Profiles of many shards merge group by group, and what was accepted is merged of its shards."""

from pathlib import Path

import pyarrow as pa
import pytest

import raypipe
from raypipe.app.cycle import cycle
from raypipe.config.data import HashSplit
from raypipe.config.load import load
from raypipe.engine.graph import Graph, Ref, build, leaves, node_of
from raypipe.errors import StoreError
from raypipe.stages.data import merge_profiles, merged_profiles
from raypipe.stages.data.profiling import profile_splits
from raypipe.store.content import digest_path
from raypipe.store.folder import FolderArtifacts
from raypipe.values.codec import TreeCodec
from raypipe.values.dataset import Dataset, Shard
from raypipe.values.profile import FORMAT, profile_table

BY_ID = HashSplit(columns=("id",))
FLIGHTS = Path(raypipe.__file__).parent.parent / "configs" / "flights.yaml"


def shards(first: int, last: int) -> tuple[Shard, ...]:
    return tuple(
        Shard(path=f"{n:02}.parquet", object_id=f"blake2b:{n}", size=1, location=f"file:///{n}")
        for n in range(first, last)
    )


def graph_of(last: int, accepted: tuple[Shard, ...] = ()) -> Graph:
    """Return the graph of the cycle of so many shards."""
    dataset = Dataset(uri="local://flights/main", commit="c", shards=shards(0, last))
    return build(lambda: cycle(load(FLIGHTS), dataset, accepted), "flights", {})


def read_by(graph: Graph, name: str, argument: str) -> tuple[str, ...]:
    """Return the nodes that an argument of a node is made of."""
    found = leaves("", graph.nodes[name].arguments[argument])
    return tuple(node_of(value) for _, value in found if isinstance(value, Ref))


def merges(last: int) -> set[tuple[str, ...]]:
    """Return what each merge of the cycle of so many shards reads."""
    graph = graph_of(last)
    names = [name for name in graph.nodes if name.startswith("merge_profiles")]
    return {read_by(graph, name, "profiles") for name in names}


def test_profiles_that_merge_by_eights_are_those_that_merge_at_once():
    codec = TreeCodec(digest_path)
    parts = [
        profile_splits(pa.table({"id": range(n, n + 40), "x": [0.1 * n] * 40}), BY_ID, ("id",))
        for n in range(0, 800, 39)
    ]
    assert len(parts) > 2 * 8
    by_eights = codec.encode(merged_profiles(parts))
    assert by_eights.digest == codec.encode(merge_profiles(parts)).digest
    assert merged_profiles(parts).all.keys.duplicates == len(parts) - 1


def test_beside_a_new_shard_what_was_merged_stays_merged():
    assert [len(one) for one in sorted(merges(18) & merges(17))] == [8, 8]
    assert len(merges(18)) == 4


def test_what_was_accepted_is_merged_of_its_shards_profiles():
    """So that profiles of an older format, whose steps run again, are made anew with them."""
    graph = graph_of(4, accepted=shards(0, 3))
    (baseline,) = read_by(graph, "validate", "baseline")
    (fresh,) = read_by(graph, "validate", "fresh")
    (whole,) = read_by(graph, "validate", "profiles")
    of_each = read_by(graph, whole, "profiles")
    assert read_by(graph, baseline, "profiles") == of_each[:3]
    assert read_by(graph, fresh, "profiles") == of_each[3:]


def test_a_profile_of_another_format_is_refused(tmp_path):
    codec, artifacts = TreeCodec(digest_path), FolderArtifacts(tmp_path)
    encoded = codec.encode(profile_table(pa.table({"x": [1, 2]})))
    assert codec.decode(encoded.manifest, artifacts).rows == 2
    old = encoded.manifest.replace(f'"format":{FORMAT}'.encode(), b'"format":2')
    with pytest.raises(StoreError, match=f"of format 2, and this raypipe writes {FORMAT}"):
        codec.decode(old, artifacts)
