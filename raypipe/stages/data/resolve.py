"""From a dataset reference to the shards that it names now."""

from collections.abc import Iterable

from raypipe.errors import NotFound
from raypipe.store.versions import StoredObject, VersionStore, did_you_mean
from raypipe.values.dataset import Dataset, Shard
from raypipe.values.uri import DatasetUri, parse_uri


def dataset_at(uri: str, versions: VersionStore) -> Dataset:
    """Return the Parquet files under a reference, at the commit that it names now."""
    wanted = parse_uri(uri)
    commit = versions.resolve(wanted.ref)
    found = dataset_of(versions.list(commit, wanted.prefix), uri, commit, versions)
    if not found.shards:
        raise _nothing_there(wanted, versions.list(commit))
    return found


def dataset_of(
    files: Iterable[StoredObject], uri: str, commit: str, versions: VersionStore
) -> Dataset:
    """Return the Parquet files among those as a dataset; there may be none."""
    shards = tuple(
        Shard(path=f.path, object_id=f.object_id, size=f.size, location=versions.location(f))
        for f in files
        if f.path.endswith(".parquet")
    )
    return Dataset(shards=shards, uri=uri, commit=commit)


def _nothing_there(wanted: DatasetUri, files: tuple[StoredObject, ...]) -> NotFound:
    folders = {f.path.rpartition("/")[0] for f in files} - {""}
    return NotFound(
        f"{wanted} holds no Parquet file" + did_you_mean(wanted.path, folders),
        hint=f"Import data: raypipe data import FILE… --to {wanted}",
    )
