"""A version store on a lakeFS server: metadata by its client, data through its S3 gateway."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raypipe.engine.records import Actor
from raypipe.errors import NotFound, StoreError, UsageError
from raypipe.fault_points import fault_point
from raypipe.store.lakefs_access import LakeFSPlace
from raypipe.store.lakefs_actions import LakeFSGuard, stopped_by_hook
from raypipe.store.lakefs_files import filesystem_of, location_of, take_apart
from raypipe.store.lakefs_repository import is_there, make_repository
from raypipe.store.lakefs_server import LakeFSServer, Refusal
from raypipe.store.versions import (
    MAIN,
    Commit,
    Diff,
    StoredObject,
    VersionStore,
    both_changed,
    check_name,
    check_path,
    did_you_mean,
    uncommitted,
)
from raypipe.store.versions_lakefs_marks import (
    ACT,
    CHECKSUM,
    DIGEST,
    as_commit,
    as_stored,
    object_id,
    said_by,
)

_PAGE = 1000
_AT_ONCE = 8
"""Files that are uploaded at the same time."""
_BLOCK = 1 << 20


class LakeFSVersions:
    """One repository of a lakeFS server; safe for many processes at once.

    A merge is always a commit of its own. Each act carries a mark in its commit's metadata, so that
    one whose answer was lost is not done twice.
    """

    def __init__(
        self, place: LakeFSPlace, repo: str, *, server: LakeFSServer | None = None
    ) -> None:
        self._place = place
        self._repo = repo
        self._server = server or LakeFSServer(place)

    @property
    def endpoint(self) -> str:
        """Where the server is."""
        return self._server.endpoint

    # --- the repository -------------------------------------------------------------------------

    def check(self, *, create: bool = False) -> None:
        """Raise NotFound unless the repository exists; it may be made."""
        if is_there(self._server, self._repo):
            return
        if not create:
            raise self._no_repository()
        make_repository(self._server, self._place, self._repo)

    def _no_repository(self) -> NotFound:
        names = [
            one.id
            for one in self._pages(
                lambda sdk, after: sdk.repositories_api.list_repositories(after=after, amount=_PAGE)
            )
        ]
        return NotFound(
            f"lakeFS at {self._server.endpoint} has no repository {self._repo!r}"
            + did_you_mean(self._repo, names),
            hint="Import data into it: "
            f"raypipe data import FILE… --to lakefs://{self._repo}/{MAIN} --create",
        )

    # --- reading --------------------------------------------------------------------------------

    def resolve(self, ref: str) -> str:
        def unknown(refusal: Refusal) -> str:
            if "repository" in refusal.said:
                raise self._no_repository()
            names = {**self.branches(), **self.tags()}
            raise NotFound(
                f"There is no branch, tag or commit {ref!r}" + did_you_mean(ref, names),
                hint="`raypipe data log` lists the commits of a branch.",
            )

        return self._server.ask(
            lambda sdk: str(sdk.commits_api.get_commit(self._repo, ref).id),
            but={404: unknown, 400: unknown},
        )

    def list(self, ref: str, prefix: str = "") -> tuple[StoredObject, ...]:
        commit = self.resolve(ref)  # what is put on a branch is listed under its name already
        return tuple(self._objects(commit, prefix))

    def _objects(self, ref: str, prefix: str) -> Iterator[StoredObject]:
        found = self._pages(
            lambda sdk, after: sdk.objects_api.list_objects(
                self._repo, ref, prefix=prefix, after=after, amount=_PAGE, user_metadata=True
            )
        )
        return (as_stored(one, ref) for one in found)

    def location(self, stored: StoredObject) -> str:
        return location_of(self._place, self._repo, stored.at, stored.path)

    def files(self, stored: Iterable[StoredObject]) -> tuple[Any, tuple[str, ...]]:
        paths = tuple(take_apart(self.location(one))[1] for one in stored)
        return filesystem_of(self._place), paths

    def diff(self, a: str, b: str) -> Diff:
        before, after = self.resolve(a), self.resolve(b)
        kinds: dict[str, list[str]] = {"added": [], "removed": [], "changed": []}
        changes = self._pages(
            lambda sdk, at: sdk.refs_api.diff_refs(
                self._repo, before, after, after=at, amount=_PAGE, type="two_dot"
            )
        )
        for change in changes:
            kinds[change.type].append(change.path)
        return Diff(**{kind: tuple(sorted(paths)) for kind, paths in kinds.items()})

    def log(self, ref: str) -> tuple[Commit, ...]:
        return tuple(map(as_commit, self._log(self.resolve(ref))))

    def _log(self, commit: str) -> Iterator[Any]:
        return self._pages(
            lambda sdk, after: sdk.refs_api.log_commits(
                self._repo, commit, after=after, amount=_PAGE
            )
        )

    def branches(self) -> dict[str, str]:
        return self._refs("branches_api", "list_branches")

    def tags(self) -> dict[str, str]:
        return self._refs("tags_api", "list_tags")

    def _refs(self, api: str, call: str) -> dict[str, str]:
        found = self._pages(
            lambda sdk, after: getattr(getattr(sdk, api), call)(
                self._repo, after=after, amount=_PAGE
            )
        )
        return {str(one.id): str(one.commit_id) for one in found}

    def _pages(self, page: Callable[[Any, str], Any]) -> Iterator[Any]:
        """Yield the results of all pages of a list."""
        after, more = "", True
        while more:
            found = self._server.ask(lambda sdk, after=after: page(sdk, after))  # type: ignore[misc]
            yield from found.results
            after, more = found.pagination.next_offset, found.pagination.has_more

    # --- names ----------------------------------------------------------------------------------

    def create_branch(self, name: str, source: str = MAIN) -> str:
        from lakefs_sdk import BranchCreation

        check_name(name, "branch")
        commit = self.resolve(source)
        self._require_free(name)
        given = self._name(
            name,
            "branch",
            commit,
            lambda sdk: sdk.branches_api.create_branch(
                self._repo, BranchCreation(name=name, source=commit)
            ),
            lambda sdk: sdk.branches_api.get_branch(self._repo, name),
        )
        if name in self.tags():
            self._server.ask(lambda sdk: _none(sdk.branches_api.delete_branch(self._repo, name)))
            raise _given_twice(name, "tag")
        return given

    def tag(self, name: str, ref: str) -> str:
        from lakefs_sdk import TagCreation

        check_name(name, "tag")
        commit = self.resolve(ref)
        self._require_free(name)
        given = self._name(
            name,
            "tag",
            commit,
            lambda sdk: sdk.tags_api.create_tag(self._repo, TagCreation(id=name, ref=commit)),
            lambda sdk: sdk.tags_api.get_tag(self._repo, name),
        )
        if name in self.branches():
            self._server.ask(lambda sdk: _none(sdk.tags_api.delete_tag(self._repo, name)))
            raise _given_twice(name, "branch")
        return given

    def _name(
        self,
        name: str,
        kind: str,
        commit: str,
        give: Callable[[Any], Any],
        get: Callable[[Any], Any],
    ) -> str:
        def taken(_: Refusal) -> str:
            self._require_free(name)
            raise StoreError(f"{name!r} was given to another commit meanwhile", hint="Try again.")

        def refused(refusal: Refusal) -> str:
            raise UsageError(
                f"{name!r} cannot name a {kind} in lakeFS: {refusal.said}",
                hint="Use letters, digits, dashes and underscores.",
            )

        def given(sdk: Any) -> str | None:
            from lakefs_sdk.exceptions import NotFoundException

            try:
                return commit if get(sdk).commit_id == commit else None
            except NotFoundException:
                return None

        return self._server.ask(
            lambda sdk: (give(sdk), commit)[1], but={409: taken, 400: refused}, done=given
        )

    def _require_free(self, name: str) -> None:
        for kind, known in (("branch", self.branches()), ("tag", self.tags())):
            if name in known:
                raise UsageError(
                    f"{name!r} names a {kind} already (at {known[name][:12]})",
                    hint="Choose another name.",
                )

    def delete_branch(self, name: str) -> None:
        if name == MAIN:
            raise UsageError(f"The branch {MAIN} stays: every other branch starts from it")
        self._head(name)
        self._server.ask(
            lambda sdk: _none(sdk.branches_api.delete_branch(self._repo, name)),
            but={404: lambda _: None},
        )

    def _head(self, branch: str) -> str:
        def unknown(_: Refusal) -> str:
            known = self.branches()
            raise NotFound(f"There is no branch {branch!r}" + did_you_mean(branch, known))

        return self._server.ask(
            lambda sdk: str(sdk.branches_api.get_branch(self._repo, branch).commit_id),
            but={404: unknown, 400: unknown},
        )

    # --- writing --------------------------------------------------------------------------------

    def put(self, branch: str, path: str, file: Path) -> StoredObject:
        return self.put_all(branch, {path: file})[0]

    def put_all(self, branch: str, files: Mapping[str, Path]) -> tuple[StoredObject, ...]:
        for path in files:
            check_path(path)
        self._head(branch)
        if len(files) == 1:
            return tuple(self._put(branch, path, file) for path, file in files.items())
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            put = [pool.submit(self._put, branch, path, file) for path, file in files.items()]
            try:
                return tuple(one.result() for one in put)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _put(self, branch: str, path: str, file: Path) -> StoredObject:
        try:
            meta, size = _known_by(file)
            told = self._server.ask(self._server.upload(self._repo, branch, path, file, meta))
        except OSError as error:
            raise StoreError(f"{file} cannot be read: {error.strerror or error}") from error
        if told["size_bytes"] != size:
            raise StoreError(f"{file} changed while it was put under {path}", hint="Try again.")
        fault_point("import.object")
        return StoredObject(
            path=path, object_id=object_id(meta, told["checksum"]), size=size, at=branch
        )

    def remove(self, branch: str, path: str) -> None:
        self._head(branch)

        def missing(_: Refusal) -> None:
            paths = [one.path for one in self._objects(branch, "")]
            raise NotFound(f"Branch {branch} holds no {path!r}" + did_you_mean(path, paths))

        self._server.ask(
            lambda sdk: _none(sdk.objects_api.stat_object(self._repo, branch, path)),
            but={404: missing, 400: missing},
        )
        self._server.ask(
            lambda sdk: _none(sdk.objects_api.delete_object(self._repo, branch, path)),
            but={404: lambda _: None},
        )

    def commit(
        self, branch: str, message: str, actor: Actor, meta: Mapping[str, str] | None = None
    ) -> str:
        from lakefs_sdk import CommitCreation

        head = self._head(branch)
        said = said_by(actor, meta)
        made = CommitCreation(message=message, metadata=said)

        def nothing(refusal: Refusal) -> str:
            if "no changes" in refusal.said:
                return head
            raise self._server.told(refusal)

        return self._server.ask(
            lambda sdk: str(sdk.commits_api.commit(self._repo, branch, made).id),
            but={400: nothing},
            done=lambda sdk: self._done(sdk, branch, said),
        )

    def merge(
        self,
        source: str,
        into: str,
        actor: Actor,
        message: str = "",
        meta: Mapping[str, str] | None = None,
    ) -> str:
        from lakefs_sdk import Merge

        theirs, ours = self.resolve(source), self._head(into)
        said = said_by(actor, meta)
        made = Merge(message=message or f"Merge {source} into {into}", metadata=said)

        def refused(refusal: Refusal) -> str:
            if "no changes" in refusal.said:
                return self._head(into)
            if "dirty" in refusal.said:
                raise self._uncommitted(into)
            raise self._server.told(refusal)

        return self._server.ask(
            lambda sdk: str(
                sdk.refs_api.merge_into_branch(self._repo, theirs, into, merge=made).reference
            ),
            but={
                400: refused,
                409: lambda _: self._clash(theirs, ours, f"{source} into {into}"),
                **dict.fromkeys(
                    (412, 500), lambda refusal: self._hooked(refusal, f"{source} into {into}")
                ),
            },
            done=lambda sdk: self._done(sdk, into, said),
        )

    def _hooked(self, refusal: Refusal, what: str) -> str:
        raise stopped_by_hook(refusal.said, f"{what} of {self._repo}")

    def _clash(self, theirs: str, ours: str, what: str) -> str:
        changes = self._pages(
            lambda sdk, after: sdk.refs_api.diff_refs(
                self._repo, ours, theirs, after=after, amount=_PAGE, type="three_dot"
            )
        )
        raise both_changed([one.path for one in changes if one.type == "conflict"], what)

    def _uncommitted(self, branch: str) -> StoreError:
        changes = self._pages(
            lambda sdk, after: sdk.branches_api.diff_branch(
                self._repo, branch, after=after, amount=_PAGE
            )
        )
        return uncommitted(branch, [one.path for one in changes])

    def revert(self, branch: str, commit: str, actor: Actor) -> str:
        from lakefs_sdk import CommitOverrides, RevertCreation

        head, undone = self._head(branch), self.resolve(commit)
        found = next((one for one in self._log(head) if one.id == undone), None)
        if found is None:
            raise UsageError(
                f"{undone[:12]} is no commit of {branch}, so it cannot be undone there"
            )
        if not found.parents:
            raise UsageError("The first commit of a repository cannot be undone: it is empty")
        said = said_by(actor, {"raypipe.reverts": undone})
        made = RevertCreation(
            ref=undone,
            parent_number=1 if len(found.parents) > 1 else 0,
            commit_overrides=CommitOverrides(
                message=f"Revert {undone[:12]}: {found.message}", metadata=said
            ),
        )

        def refused(refusal: Refusal) -> str:
            if "no changes" in refusal.said:
                return head
            if "dirty" in refusal.said or "uncommitted" in refusal.said:
                raise self._uncommitted(branch)
            raise self._server.told(refusal)

        def clash(_: Refusal) -> str:
            since, before = self.diff(undone, head), self.diff(found.parents[0], undone)
            paths = sorted({*_paths(since)} & {*_paths(before)})
            raise both_changed(paths, f"the undoing of {undone[:12]} into {branch}")

        def act(sdk: Any) -> str:
            sdk.branches_api.revert_branch(self._repo, branch, made)
            return str(sdk.branches_api.get_branch(self._repo, branch).commit_id)

        return self._server.ask(
            act,
            but={
                400: refused,
                409: clash,
                412: lambda refusal: self._hooked(refusal, f"the undoing of {undone[:12]}"),
                500: lambda refusal: self._hooked(refusal, f"the undoing of {undone[:12]}"),
            },
            done=lambda sdk: self._done(sdk, branch, said),
        )

    # --- protection -----------------------------------------------------------------------------

    def guarded(self) -> LakeFSGuard:
        """Return what can be asked of this repository's rules and actions."""
        return LakeFSGuard(self._server, self._repo)

    def _done(self, sdk: Any, branch: str, said: Mapping[str, str]) -> str | None:
        """Return the commit of an act that was done, if the branch has it."""
        newest = sdk.refs_api.log_commits(self._repo, branch, amount=100).results
        marked = (c.id for c in newest if (c.metadata or {}).get(ACT) == said[ACT])
        return next(marked, None)


def _none(_: Any) -> None:
    """Take an answer for nothing."""


def _given_twice(name: str, kind: str) -> StoreError:
    """Say that lakeFS, to which branches and tags are two lists, gave a name in both at once."""
    return StoreError(
        f"{name!r} was given to a {kind} meanwhile; it was taken back", hint="Try again."
    )


def _known_by(file: Path) -> tuple[dict[str, str], int]:
    """Return what the metadata of a file's object says of its bytes, and how many these are."""
    digest, checksum, size = _blake2b(), hashlib.md5(usedforsecurity=False), 0
    with file.open("rb") as reader:
        while block := reader.read(_BLOCK):
            digest.update(block)
            checksum.update(block)
            size += len(block)
    return {DIGEST: digest.hexdigest(), CHECKSUM: checksum.hexdigest()}, size


def _blake2b() -> Any:
    return hashlib.blake2b(digest_size=32)


def _paths(diff: Diff) -> tuple[str, ...]:
    return (*diff.added, *diff.removed, *diff.changed)


if TYPE_CHECKING:
    _fits: VersionStore = LakeFSVersions(LakeFSPlace(), "")
