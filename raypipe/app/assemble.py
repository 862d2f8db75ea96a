"""The parts of a run put together: home, ledger, artifacts, codec, fingerprints and runtimes."""

import getpass
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any

from raypipe.app.home import make_home
from raypipe.app.job import job_folder
from raypipe.engine.difference import ABSENT
from raypipe.engine.digest import digest_bytes
from raypipe.engine.fingerprint import Tracer
from raypipe.engine.ports import Claims, Ports
from raypipe.engine.records import Actor, Fingerprint, Result
from raypipe.engine.step import main_module
from raypipe.errors import UsageError
from raypipe.store.artifacts import ArtifactsPlace, bind, open_artifacts
from raypipe.store.claims import FileClaims
from raypipe.store.content import digest_file, digest_path
from raypipe.store.lakefs_access import LakeFSPlace, bind_lakefs
from raypipe.store.ledger import SqlLedger
from raypipe.store.ledger_place import LedgerPlace, ledger_of
from raypipe.store.owners import LAPSE
from raypipe.store.paths import HomePaths
from raypipe.store.places import code_folders
from raypipe.store.postgres_url import PostgresUrl
from raypipe.store.projects import project_name
from raypipe.store.scratch import FolderScratch
from raypipe.store.sources import FileSources
from raypipe.store.uses import Noting
from raypipe.store.versions import RepositoryName, VersionStore, open_store
from raypipe.values.codec import TreeCodec

if TYPE_CHECKING:
    from raypipe.config.store import StoreConfig
    from raypipe.store.artifacts import Store


LAPSE_VARIABLE = "RAYPIPE_LAPSE"
FOREVER = 1e9


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """Everything that planning and running in one home need."""

    root: Path
    """The project root."""
    project: str
    """Name of the project in the ledger's tables."""
    paths: HomePaths
    ledger: SqlLedger
    artifacts: "Store"
    noting: Noting
    """Notes what is needed while a run is under way."""
    codec: TreeCodec
    sources: FileSources
    tracer: Tracer
    actor: Actor
    claims: Claims
    """One object, so that what it saw of holders who do not move counts for all who ask it."""
    beside: Path | None = None
    """The project's own root, where `root` is a copy of its code that a run goes on with."""
    lakefs: LakeFSPlace | None = None
    """What the settings that it was opened with say of lakeFS; None: what the home was told."""

    def versions(
        self, uri: RepositoryName, *, create: bool = False, store: "StoreConfig | None" = None
    ) -> VersionStore:
        """Open a repository of data; `store` is what other settings say of where it is."""
        place = lakefs_named(store) or self.lakefs
        return open_store(uri, self.paths.home, create=create, lakefs=place)

    def save_code(self) -> None:
        """Let the next process know what was found of the code."""
        self.tracer.save()
        self.sources.save()

    def ports(
        self,
        lookups: Mapping[str, object] | None = None,
        imported: tuple[str, ...] = (),
        compare: Callable[[Any, Result], str | None] = lambda value, before: None,
    ) -> Ports:
        """Return the world as the engine is given it; `imported` as of `fingerprint`."""

        @cache
        def of(target: str, also: tuple[str, ...]) -> Fingerprint:
            return self.tracer.fingerprint(target, also=also, imported=imported)

        def reread(target: str, also: tuple[str, ...]) -> Fingerprint:
            if not self.sources.is_stale():
                return of(target, also)
            fresh = Tracer(FileSources(self.root, self.paths.index, main=_main()))
            return fresh.fingerprint(target, also=also, imported=imported)

        return Ports(
            ledger=self.ledger,
            artifacts=self.artifacts,
            codec=self.codec,
            fingerprint=of,
            reread=reread,
            environment=lambda names: declared_environment(names, self.root, self.beside),
            lookups=lookups or {},  # type: ignore[arg-type]
            claim=self.claims.claim,
            now=time.time,
            actor=self.actor,
            project=self.project,
            root=self.root,
            folders=tuple(str(p.relative_to(self.root)) for p in code_folders(self.root)),
            home=self.paths.home,
            scratch=FolderScratch(self.paths.work, self.noting),
            pause=time.sleep,
            compare=compare,
        )


def open_workshop(
    root: Path,
    home: Path,
    *,
    write: bool,
    by: str | None = None,
    store: "StoreConfig | None" = None,
    project: str | None = None,
    beside: Path | None = None,
) -> Workshop:
    """Open a home's parts; with `write` false nothing is made, so that a look leaves no trace.

    `store` is what settings say of the home; `project` and `beside` are given where `root` is a
    copy of the project's code.
    """
    paths = HomePaths(home)
    place = None if store is None else ledger_named(store)
    artifacts_place = None if store is None else artifacts_named(store)
    lakefs = lakefs_named(store)
    if write:
        make_home(home)
        bind(paths, artifacts_place)
        bind_lakefs(paths, lakefs)
    noting = Noting()
    index = paths.index if home.is_dir() and os.access(home, os.W_OK) else None
    where = ledger_of(paths, place, write=write)
    ledger = SqlLedger.open(where, create=write)
    sources = FileSources(root, index, main=_main())
    return Workshop(
        root=root,
        project=project or _project(ledger, root, write=write),
        paths=paths,
        ledger=ledger,
        artifacts=open_artifacts(home, noting, artifacts_place),
        noting=noting,
        codec=TreeCodec(digest_path, _main()),
        sources=sources,
        tracer=Tracer(sources, sources),
        actor=who(by),
        claims=_claims(paths, where, (store and store.lapse) or _lapse()),
        beside=beside,
        lakefs=lakefs,
    )


def ledger_named(store: "StoreConfig") -> LedgerPlace | None:
    """Return the ledger that settings name; None: that of the home, whichever it is."""
    if store.ledger is None:
        return None
    secret = store.ledger_password
    return LedgerPlace(url=store.ledger, password=None if secret is None else secret.env)


def artifacts_named(store: "StoreConfig") -> ArtifactsPlace | None:
    """Return the place that settings give the artifacts; None: that of the home."""
    if store.artifacts is None:
        return None
    secrets = ("access_key", "secret_key", "session_token")
    named = {name: one.env for name in secrets if (one := getattr(store, name)) is not None}
    return ArtifactsPlace(
        artifacts=store.artifacts,
        endpoint_override=store.endpoint_override,
        region=store.region,
        cache=store.cache,
        **named,
    )


def lakefs_named(store: "StoreConfig | None") -> LakeFSPlace | None:
    """Return what settings say of lakeFS; None: what the home was told last."""
    if store is None or store.lakefs is None:
        return None
    named = store.lakefs
    return LakeFSPlace(
        endpoint=named.endpoint,
        access_key=named.access_key.env if named.access_key else None,
        secret_key=named.secret_key.env if named.secret_key else None,
        storage=named.storage,
    )


def _project(ledger: SqlLedger, root: Path, *, write: bool) -> str:
    name = _name_of(root)
    return _renamed(ledger, root, name) if write else _known(ledger, root, name)


def _claims(paths: HomePaths, place: Path | PostgresUrl, lapse: float) -> Claims:
    """Return the claims of a home, which are where its ledger is: so far it is shared."""
    if isinstance(place, Path):
        return FileClaims(paths.claims, lapse)
    from raypipe.store.ledger_claims import claims_in

    return claims_in(place, lapse)


def _lapse() -> float:
    """Return what the environment says, where no settings do: all who share a home should agree."""
    asked = os.environ.get(LAPSE_VARIABLE, str(LAPSE))
    try:
        lapse = float(asked)
    except ValueError:
        lapse = 0.0
    if not 0 < lapse < FOREVER:
        raise UsageError(
            f"{LAPSE_VARIABLE} is {asked!r}, which is no number of seconds",
            hint=f"such as {LAPSE:g}; it says when a process that does not move is gone on without",
        )
    return lapse


def _name_of(root: Path) -> str:
    """Return the project's name, wherever its folder lies: a job's is a copy with a name of Ray's.

    Decisions are found by it, so that it must be the same at each launch.
    """
    name = project_name(root)
    if name is not None:
        return name
    if job_folder(root) == root:
        raise UsageError(
            "the project has no name, and inside a Ray job its folder has Ray's",
            hint='write pyproject.toml, with `[project]` and `name = "…"`, into the working '
            "directory that is submitted",
        )
    return root.name


def _renamed(ledger: SqlLedger, root: Path, name: str) -> str:
    """Give the project's runs of a time when it was called by its folder the name of now."""
    if name != root.name:
        ledger.rename_project(root.name, name, root)
    return name


def _known(ledger: SqlLedger, root: Path, name: str) -> str:
    """Return the name that a ledger, which is only looked at, knows the project by."""
    renamed = name == root.name or ledger.list_runs(name, 1) or not ledger.list_runs(root.name, 1)
    return name if renamed else root.name


def _main() -> str | None:
    return main_module[-1] if main_module else None


def who(by: str | None = None) -> Actor:
    """Return who runs this: the system's user and host, and the name that was given."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return Actor(user=user, host=socket.gethostname(), name=by)


def declared_environment(
    names: tuple[str, ...], root: Path, beside: Path | None = None
) -> dict[str, str]:
    """Return the digest of each declared file and variable.

    An absent one has a digest of its own. `beside` is the project's own root where `root` is a
    copy of its code: what is not in the copy is read there. UsageError for a file that differs
    between the two, since nobody knows which of them a step would open.
    """
    return {name: _digest_of(name, root, beside) for name in names}


def _digest_of(declared: str, root: Path, beside: Path | None) -> str:
    kind, _, name = declared.partition(":")
    if kind == "env":
        value = os.environ.get(name)
        return digest_bytes(b"unset" if value is None else b"set " + value.encode())
    found = _digest_of_file(name, root)
    if beside is None:
        return found
    own = _digest_of_file(name, beside)
    if found not in {own, ABSENT}:
        raise UsageError(
            f"{name!r}, which a step depends on, is not what it was when the run began",
            hint="put it back, or go on with what there is now: --code now",
        )
    return own


def _digest_of_file(name: str, root: Path) -> str:
    try:
        mode = (root / name).stat().st_mode
        if S_ISREG(mode):
            return digest_file(root / name)
        why = "it is a folder" if S_ISDIR(mode) else "it is neither a file nor a folder"
    except FileNotFoundError:
        return ABSENT
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
    raise UsageError(
        f"depends_on file {name!r:.200} cannot be read: {why}",
        hint="name each file that the step reads; give a folder to the step as a pathlib.Path, "
        "which counts by all that is in it",
    )
