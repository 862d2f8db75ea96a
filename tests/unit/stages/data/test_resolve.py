"""A dataset reference becomes shards at a commit."""

from pathlib import Path

import pytest

from raypipe.engine.records import Actor
from raypipe.errors import NotFound, UsageError
from raypipe.stages.data.resolve import dataset_at
from raypipe.store.versions_local import LocalVersions

ANN = Actor(user="ann", host="desk")


@pytest.fixture
def store(tmp_path: Path) -> LocalVersions:
    store = LocalVersions(tmp_path / "repo")
    for path in ("raw/b.parquet", "raw/a.parquet", "raw/notes.txt", "other/c.parquet"):
        (tmp_path / "x").write_text(path)
        store.put("main", path, tmp_path / "x")
    store.commit("main", "Write", ANN)
    return store


def test_shards_are_the_parquet_files_under_the_path_in_order(store):
    dataset = dataset_at("local://repo/main/raw", store)

    assert [shard.path for shard in dataset.shards] == ["raw/a.parquet", "raw/b.parquet"]
    assert (dataset.uri, dataset.commit) == ("local://repo/main/raw", store.resolve("main"))
    assert [Path(s.location).read_text() for s in dataset.shards] == [
        s.path for s in dataset.shards
    ]
    assert len({shard.object_id for shard in dataset.shards}) == 2
    assert [shard.size for shard in dataset.shards] == [13, 13]


def test_without_a_path_every_parquet_file_is_a_shard(store):
    assert len(dataset_at("local://repo/main", store).shards) == 3


def test_a_tag_and_a_commit_name_the_same_dataset(store):
    commit = store.tag("v1", "main")

    tagged, pinned = (dataset_at(f"local://repo/{ref}", store) for ref in ("v1", commit))
    assert tagged.shards == pinned.shards
    assert tagged.commit == pinned.commit


@pytest.mark.parametrize("path", ["row", "ra", "raw/a"])
def test_a_path_that_holds_nothing_is_not_found(store, path):
    with pytest.raises(NotFound, match=rf"main/{path} holds no Parquet file.*'raw'"):
        dataset_at(f"local://repo/main/{path}", store)


def test_an_unknown_ref_is_not_found(store):
    with pytest.raises(NotFound, match="did you mean 'main'"):
        dataset_at("local://repo/mian", store)


def test_what_is_no_reference_is_refused(store):
    with pytest.raises(UsageError):
        dataset_at("repo/main", store)
