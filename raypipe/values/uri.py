"""How a dataset reference is written: SCHEME://REPO/REF[/PATH]."""

import re
from dataclasses import dataclass
from typing import Literal

from raypipe.errors import UsageError

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_URI = re.compile(rf"(local|lakefs)://({_NAME})/({_NAME})(?:/(.*))?")


@dataclass(frozen=True, kw_only=True)
class DatasetUri:
    """A dataset reference, taken apart."""

    scheme: Literal["local", "lakefs"]
    repo: str
    ref: str
    """A branch, a tag or a commit."""
    path: str = ""
    """Folder inside the repository, without slashes at its ends; empty: everything."""

    def __str__(self) -> str:
        whole = f"{self.scheme}://{self.repo}/{self.ref}"
        return f"{whole}/{self.path}" if self.path else whole

    @property
    def repository(self) -> str:
        """The reference without its ref: where the data is, whatever the commit."""
        return f"{self.scheme}://{self.repo}/{self.path}".rstrip("/")

    @property
    def repository_name(self) -> tuple[str, str]:
        """What tells its repository from others."""
        return self.scheme, self.repo

    @property
    def prefix(self) -> str:
        """What the paths of its objects start with."""
        return f"{self.path}/" if self.path else ""


def parse_uri(text: str) -> DatasetUri:
    """Take a dataset reference apart; UsageError says how one is written."""
    match = _URI.fullmatch(text)
    path = (match[4] or "").strip("/") if match else ""
    if match is None or (path and not is_object_path(path)):
        raise UsageError(
            f"{text!r} is no dataset reference",
            hint="Write local://REPO/REF or local://REPO/REF/PATH, such as local://flights/main, "
            "or lakefs:// likewise; REF is a branch, tag or commit.",
        )
    scheme: Literal["local", "lakefs"] = "local" if match[1] == "local" else "lakefs"
    return DatasetUri(scheme=scheme, repo=match[2], ref=match[3], path=path)


def is_object_path(path: str) -> bool:
    """Say whether a text can name an object: relative, and no part of it empty, `.` or `..`."""
    return all(part not in ("", ".", "..") for part in path.split("/")) and "\0" not in path
