"""Where a home's artifacts are: in its folder, or in a bucket that it was bound to."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raypipe.errors import StoreError, UsageError
from raypipe.store.content import replace_file
from raypipe.store.faults import disk_faults
from raypipe.store.folder import FolderArtifacts
from raypipe.store.identity import identify
from raypipe.store.paths import HomePaths
from raypipe.store.uses import Uses

if TYPE_CHECKING:
    from raypipe.store.objects import ObjectArtifacts

    Store = FolderArtifacts | ObjectArtifacts

VARIABLE = "RAYPIPE_ARTIFACTS"
"""Where a new home keeps its artifacts if no settings say so, such as s3://BUCKET/PREFIX."""
CACHE = 20 << 30
"""Bytes of copies on this machine."""
OWNER = "home"
"""Name of the object that says which home a prefix belongs to."""


@dataclass(frozen=True, kw_only=True)
class ArtifactsPlace:
    """A bucket's prefix, how it is reached, and how much of it is kept on this machine too."""

    artifacts: str
    """`s3://BUCKET/PREFIX`, or what else pyarrow.fs.FileSystem.from_uri takes."""
    endpoint_override: str | None = None
    region: str | None = None
    access_key: str | None = None
    """Name of the environment variable that holds it; None: what S3's own clients find."""
    secret_key: str | None = None
    session_token: str | None = None
    cache: int = CACHE


def open_artifacts(
    home: Path, note: Callable[..., None] = lambda *names: None, place: ArtifactsPlace | None = None
) -> "Store":
    """Open a home's artifacts; `place` is for a home that is not bound to one yet.

    `note` is told what is needed before it is looked for.
    """
    paths = HomePaths(home)
    place = bound(paths) or place
    if place is None:
        return FolderArtifacts(paths.artifacts, note)
    from raypipe.store.cache import Cache
    from raypipe.store.objects import ObjectArtifacts

    return ObjectArtifacts(_bucket(place), Cache(paths.cache, place.cache), note)


def artifacts_of_run(home: Path, run: str) -> "Store":
    """Open a home's artifacts for a process that works on a run, which notes what it needs."""
    return open_artifacts(home, Uses(HomePaths(home).uses).join(user_of(run)).note)


def user_of(run: str) -> str:
    """Return the name by which a run and all its processes note what they need."""
    return f"run-{run}"


def bound(paths: HomePaths) -> ArtifactsPlace | None:
    """Return the place that a home's artifacts are bound to; None: its own folder."""
    try:
        return ArtifactsPlace(**json.loads(paths.bound_artifacts.read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(
            f"{str(paths.bound_artifacts)!r}, which says where the artifacts are, cannot be read: "
            f"{error}",
            hint="restore it from a copy",
        ) from error


def bind(paths: HomePaths, place: ArtifactsPlace | None) -> None:
    """Bind a home to the place that settings name; UsageError if it has another one.

    How the place is reached may change, and is kept as told last.
    """
    before = bound(paths)
    place = place or _from_environment(before)
    if place is None:
        return
    if before is not None and before.artifacts != place.artifacts:
        raise _bound_elsewhere(paths, before.artifacts, place.artifacts)
    if before is None and paths.artifacts.is_dir() and any(paths.artifacts.iterdir()):
        raise _bound_elsewhere(paths, str(paths.artifacts), place.artifacts)
    _own(place, identify(paths))
    if place != before:
        with disk_faults(f"{str(paths.bound_artifacts)!r} cannot be written"):
            replace_file(paths.bound_artifacts, json.dumps(asdict(place), indent=1))


def _from_environment(before: ArtifactsPlace | None) -> ArtifactsPlace | None:
    named = os.environ.get(VARIABLE)
    return ArtifactsPlace(artifacts=named) if named and before is None else None


def _own(place: ArtifactsPlace, owner: str) -> None:
    """Mark a place as a home's own; StoreError if another home has it.

    What one home does not need another may, so that they cannot share a prefix.
    """
    bucket = _bucket(place)
    found = bucket.get(OWNER)
    if found is None:
        bucket.put(OWNER, owner.encode())
        found = bucket.get(OWNER)
    if found != owner.encode():
        raise StoreError(
            f"{place.artifacts} belongs to another home",
            hint="give each home a prefix of its own in store.artifacts",
        )


def _bound_elsewhere(paths: HomePaths, there: str, wanted: str) -> UsageError:
    return UsageError(
        f"the home {str(paths.home)!r} keeps its artifacts in {there}, not in {wanted}",
        hint="choose another home with --home, or set store.artifacts to what it has",
    )


# --- reaching it --------------------------------------------------------------------------------


def _bucket(place: ArtifactsPlace) -> Any:
    from raypipe.store.bucket import Bucket

    scheme, _, rest = place.artifacts.partition("://")
    if scheme == "s3":
        return Bucket(_s3(place), rest)
    from pyarrow.fs import FileSystem

    try:
        return Bucket(*FileSystem.from_uri(place.artifacts))
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{place.artifacts} cannot be opened: {error}", hint="look at store.artifacts"
        ) from error


def _s3(place: ArtifactsPlace) -> Any:
    from pyarrow.fs import S3FileSystem

    endpoint = place.endpoint_override or _first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    scheme, _, host = (endpoint or "").rpartition("://")
    region = place.region or _first("AWS_REGION", "AWS_DEFAULT_REGION")
    return S3FileSystem(
        access_key=_secret(place.access_key),
        secret_key=_secret(place.secret_key),
        session_token=_secret(place.session_token),
        endpoint_override=host or None,
        scheme=scheme or "https",
        region=region or ("us-east-1" if endpoint else None),
        allow_delayed_open=True,  # an object of one part is written by one request
    )


def _first(*names: str) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def _secret(name: str | None) -> str | None:
    if name is None:
        return None
    if not os.environ.get(name):
        raise StoreError(
            f"the environment variable {name} is not set, which store names for a credential",
            hint=f"set {name}, where raypipe and its workers run",
        )
    return os.environ[name]
