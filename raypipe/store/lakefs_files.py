"""The files of a lakeFS server as pyarrow reads them: through its S3 gateway, with no copy."""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any, NoReturn, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlencode

from pyarrow.fs import (
    AwsStandardS3RetryStrategy,
    FileInfo,
    FileSelector,
    FileSystemHandler,
    PyFileSystem,
    S3FileSystem,
)

from raypipe.errors import StoreError
from raypipe.store.lakefs_access import Access, LakeFSPlace, find_access

T = TypeVar("T")

SCHEME = "lakefs://"
LATER = "look whether the server answers, then run again: what was recorded is kept"
ATTEMPTS = 6
"""How often the S3 gateway is asked, with pauses that grow: some 20 s in all."""
_CODE = re.compile(r"AWS Error (\w+)")


def location_of(place: LakeFSPlace, repo: str, ref: str, path: str) -> str:
    """Write down where an object is; names of variables go along, and no credentials."""
    said = {name: text for name, text in asdict(place).items() if text and name != "storage"}
    whole = SCHEME + quote(f"{repo}/{ref}/{path}")
    return f"{whole}?{urlencode(said)}" if said else whole


def take_apart(location: str) -> tuple[LakeFSPlace, str]:
    """Return server and path in it of a location."""
    whole, _, said = location.removeprefix(SCHEME).partition("?")
    return LakeFSPlace(**dict(parse_qsl(said))), unquote(whole)


def filesystem_of(place: LakeFSPlace) -> PyFileSystem:
    """Return a server's files, by REPO/REF/PATH; what is pickled of it holds no credentials."""
    return PyFileSystem(LakeFiles(place))


class LakeFiles(FileSystemHandler):  # type: ignore[misc]
    """Objects to read; each process opens them with the credentials of its own environment.

    Only opening goes through Python: what is read of an open file, Arrow reads itself.
    """

    def __init__(self, place: LakeFSPlace) -> None:
        self._place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return (LakeFiles, (self._place,))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LakeFiles) and other._place == self._place

    def __hash__(self) -> int:
        return hash(self._place)

    def get_type_name(self) -> str:
        return "lakefs"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: Sequence[str]) -> list[FileInfo]:
        return list(self._ask(paths[0], lambda s3: s3.get_file_info(list(paths)))) if paths else []

    def get_file_info_selector(self, selector: FileSelector) -> list[FileInfo]:
        return list(self._ask(selector.base_dir, lambda s3: s3.get_file_info(selector)))

    def open_input_stream(self, path: str) -> Any:
        return self._ask(path, lambda s3: s3.open_input_stream(path))

    def open_input_file(self, path: str) -> Any:
        return self._ask(path, lambda s3: s3.open_input_file(path))

    def _ask(self, path: str, act: Callable[[S3FileSystem], T]) -> T:
        access = find_access(self._place)
        try:
            return act(_s3(access))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise unreadable(path, error, access.endpoint) from None

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise StoreError(
            "files of a commit are only read", hint="what is written goes through the version store"
        )

    create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = _refuse
    delete_file = move = copy_file = open_output_stream = open_append_stream = _refuse


def unreadable(path: str, error: OSError, endpoint: str | None = None) -> StoreError:
    """Say what the gateway said of an object; its whole answer may hold an access key."""
    code = _CODE.search(str(error))
    why = code[1] if code else type(error).__name__
    hints = {
        "ACCESS_DENIED": "look at the credentials, and at what they allow in this repository",
        "SIGNATURE_DOES_NOT_MATCH": "the secret key is not that of the access key",
        "INVALID_ACCESS_KEY_ID": "look at the access key",
    }
    return StoreError(
        f"{path} cannot be read from lakeFS{f' at {endpoint}' if endpoint else ''}: {why}",
        hint=hints.get(why, LATER),
    )


@lru_cache(maxsize=4)
def _s3(access: Access) -> S3FileSystem:
    scheme, _, host = access.endpoint.partition("://")
    return S3FileSystem(
        access_key=access.access_key,
        secret_key=access.secret_key,
        endpoint_override=host,
        scheme=scheme,
        region="us-east-1",
        connect_timeout=10,
        request_timeout=120,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
    )
