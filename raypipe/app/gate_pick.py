"""What a branch would be by a cherry-pick, of which lakeFS says which commit is picked."""

from dataclasses import replace

from raypipe.errors import NotFound
from raypipe.stages.data import dataset_of
from raypipe.store.versions import StoredObject, VersionStore
from raypipe.values.dataset import Dataset
from raypipe.values.uri import DatasetUri

ORIGIN = "cherry-pick-origin"
"""Name under which lakeFS itself says it, whatever else the metadata is told to be."""


def picked(
    uri: DatasetUri, versions: VersionStore, origin: str
) -> tuple[Dataset, tuple[StoredObject, ...]] | None:
    """Return the shards and all files that the branch would have; None where it cannot be told.

    What a merge changed depends on which of its parents it is held against: lakeFS is told, and
    does not tell. A commit that has metadata lakeFS itself does not find for some minutes once
    somebody tried to pick it. A path that both sides changed never comes so far.
    """
    try:
        commit = versions.log(origin)[0]
    except NotFound:
        return None
    if commit.id != origin or len(commit.parents) != 1:
        return None
    change = versions.diff(commit.parents[0], commit.id)
    theirs = {file.path: file for file in versions.list(commit.id)}
    files = {file.path: file for file in versions.list(uri.ref)}
    for path in change.removed:
        files.pop(path, None)
    for path in (*change.added, *change.changed):
        files[path] = theirs[path]
    all_of_it = tuple(files[path] for path in sorted(files))
    mine = [file for file in all_of_it if file.path.startswith(uri.prefix)]
    return dataset_of(mine, str(replace(uri, ref=commit.id)), commit.id, versions), all_of_it
