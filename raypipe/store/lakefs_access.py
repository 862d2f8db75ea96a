"""How a lakeFS server is reached; credentials stay in this process, and out of every text."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from raypipe.errors import StoreError
from raypipe.store.content import replace_file
from raypipe.store.faults import disk_faults
from raypipe.store.paths import HomePaths

ENDPOINT = "LAKECTL_SERVER_ENDPOINT_URL"
ACCESS_KEY = "LAKECTL_CREDENTIALS_ACCESS_KEY_ID"
SECRET_KEY = "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY"
FILE = "LAKECTL_CONFIG_FILE"
"""Variables of lakeFS's own command, and where it looks instead of `~/.lakectl.yaml`."""


@dataclass(frozen=True, kw_only=True)
class LakeFSPlace:
    """What settings say of the server; credentials by the names of their variables."""

    endpoint: str | None = None
    """Such as http://127.0.0.1:8000."""
    access_key: str | None = None
    secret_key: str | None = None
    storage: str | None = None
    """Where new repositories keep their objects, such as s3://BUCKET/PREFIX."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """A server, and what lets this process in. It cannot be pickled: each process finds its own."""

    endpoint: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    source: str
    """Where the credentials were found, in words."""

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials do not travel; each process finds its own")


def find_access(place: LakeFSPlace) -> Access:
    """Find server and credentials: by settings, in the environment, in lakectl's file.

    StoreError says what is missing, and where it is looked for.
    """
    endpoint = place.endpoint or os.environ.get(ENDPOINT)
    keys = _named(place) or _environment()
    told: Mapping[str, Any] = {} if endpoint and keys else _lakectl()
    endpoint = endpoint or _text(told, "server", "endpoint_url")
    keys = keys or _of_file(told)
    if not endpoint:
        raise StoreError(
            "no lakeFS server is named",
            hint=f"set {ENDPOINT} (and {ACCESS_KEY}, {SECRET_KEY}), store.lakefs.endpoint, or "
            "write ~/.lakectl.yaml: `lakectl config`",
        )
    endpoint = endpoint.rstrip("/").removesuffix("/api/v1")
    if "@" in endpoint:
        raise StoreError(
            "the lakeFS endpoint holds credentials, and would be shown with them",
            hint=f"write it as http://HOST:PORT; credentials go into {ACCESS_KEY}, {SECRET_KEY}",
        )
    if "://" not in endpoint:
        endpoint = f"https://{endpoint}"
    if not keys:
        raise StoreError(
            f"there are no credentials for lakeFS at {endpoint}",
            hint=f"set {ACCESS_KEY} and {SECRET_KEY} where raypipe and its workers run, or write "
            "~/.lakectl.yaml: `lakectl config`",
        )
    access_key, secret_key, source = keys
    return Access(endpoint=endpoint, access_key=access_key, secret_key=secret_key, source=source)


Keys = tuple[str, str, str]
"""Access key, secret key, and where they were found."""


def _named(place: LakeFSPlace) -> Keys | None:
    if place.access_key is None or place.secret_key is None:
        return None
    for name in (place.access_key, place.secret_key):
        if not os.environ.get(name):
            raise StoreError(
                f"the environment variable {name} is not set, which store.lakefs names for a "
                "credential",
                hint=f"set {name}, where raypipe and its workers run",
            )
    source = f"{place.access_key} and {place.secret_key}"
    return os.environ[place.access_key], os.environ[place.secret_key], source


def _environment() -> Keys | None:
    access_key, secret_key = os.environ.get(ACCESS_KEY), os.environ.get(SECRET_KEY)
    if access_key and secret_key:
        return access_key, secret_key, f"{ACCESS_KEY} and {SECRET_KEY}"
    return None


def _of_file(told: Mapping[str, Any]) -> Keys | None:
    access_key = _text(told, "credentials", "access_key_id")
    secret_key = _text(told, "credentials", "secret_access_key")
    if access_key and secret_key:
        return access_key, secret_key, str(_file())
    return None


def _file() -> Path:
    return Path(os.environ.get(FILE) or Path.home() / ".lakectl.yaml")


def _lakectl() -> Mapping[str, Any]:
    import yaml

    try:
        told = yaml.safe_load(_file().read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, yaml.YAMLError):  # what YAML says of it may quote a secret
        raise StoreError(
            f"{_file()}, which says how lakeFS is reached, cannot be read",
            hint="write it anew: `lakectl config`",
        ) from None
    return told if isinstance(told, dict) else {}


def _text(told: Mapping[str, Any], section: str, name: str) -> str | None:
    part = told.get(section)
    found = part.get(name) if isinstance(part, dict) else None
    return str(found) if found else None


# --- what a home was told -----------------------------------------------------------------------


def bound_lakefs(paths: HomePaths) -> LakeFSPlace:
    """Return what settings said of the server last in this home."""
    try:
        return LakeFSPlace(**json.loads(paths.bound_lakefs.read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return LakeFSPlace()
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(
            f"{str(paths.bound_lakefs)!r}, which says how lakeFS is reached, cannot be read: "
            f"{error}",
            hint="remove it, and run again with the settings file",
        ) from error


def bind_lakefs(paths: HomePaths, place: LakeFSPlace | None) -> None:
    """Keep what settings say of the server, for commands that have no settings."""
    if place is None or place == bound_lakefs(paths):
        return
    with disk_faults(f"{str(paths.bound_lakefs)!r} cannot be written"):
        replace_file(paths.bound_lakefs, json.dumps(asdict(place), indent=1))
