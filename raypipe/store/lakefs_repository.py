"""How a repository comes to be on a lakeFS server, whoever makes it at the same moment."""

import time
from typing import Any

from raypipe.errors import StoreError, UsageError
from raypipe.store.lakefs_access import LakeFSPlace
from raypipe.store.lakefs_server import LakeFSServer, Refusal
from raypipe.store.versions import MAIN

IN_USE = "namespace already in use"
"""What lakeFS says of a place where a repository is being made, or of which one was deleted."""
MEANWHILE = 10.0
"""Seconds that another process's making of it is waited for."""


def make_repository(server: LakeFSServer, place: LakeFSPlace, repo: str) -> None:
    """Make a repository with an empty branch `main`; one that is there, or comes to be, stays."""
    from lakefs_sdk import RepositoryCreation

    def make(sdk: Any) -> None:
        prefix = place.storage or _storage(sdk)
        if not prefix:
            raise UsageError(
                f"lakeFS at {server.endpoint} does not say where a new repository "
                "keeps its objects",
                hint="set store.lakefs.storage, such as s3://BUCKET/PREFIX",
            )
        between = "" if prefix.endswith("/") else "/"
        made = RepositoryCreation(
            name=repo, storage_namespace=f"{prefix}{between}{repo}", default_branch=MAIN
        )
        sdk.repositories_api.create_repository(made)

    def refused(refusal: Refusal) -> None:
        if IN_USE not in refusal.said:
            raise UsageError(
                f"lakeFS at {server.endpoint} will not make a repository {repo!r}: {refusal.said}",
                hint="use small letters, digits and dashes, three at least",
            )
        if not _comes_to_be(server, repo):
            raise StoreError(
                f"lakeFS at {server.endpoint} will not make a repository {repo!r}: objects of "
                "another, perhaps a deleted one, lie where it would keep its own",
                hint="take another name, or another place: store.lakefs.storage",
            )

    server.ask(make, but={400: refused, 409: lambda _: None})


def is_there(server: LakeFSServer, repo: str) -> bool:
    """Say whether a server has a repository."""

    def found(sdk: Any) -> bool:
        sdk.repositories_api.get_repository(repo)
        return True

    return server.ask(found, but={404: lambda _: False})


def _comes_to_be(server: LakeFSServer, repo: str) -> bool:
    """Wait for who makes it: lakeFS marks its place before it lists it."""
    until = time.monotonic() + MEANWHILE
    while not is_there(server, repo):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def _storage(sdk: Any) -> str | None:
    told = sdk.config_api.get_config().storage_config
    return (told and told.default_namespace_prefix) or None
