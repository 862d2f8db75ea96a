"""Branches that are looked at: a new commit begins a run, once; what was let in by nobody goes."""

import logging
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from raypipe.app.assemble import Workshop
from raypipe.app.gate import Asked, state_at
from raypipe.app.protect import claim_of, require_its_server
from raypipe.app.undo import undo
from raypipe.app.verdicts import protections_of, what_lets_in
from raypipe.config.cycle import CycleConfig
from raypipe.engine.records import Json
from raypipe.errors import RaypipeError
from raypipe.store.rows import ProtectionRow
from raypipe.store.versions import VersionStore
from raypipe.values.uri import DatasetUri, parse_uri

RECENT = 50
"""Newest runs of a pipeline among which one of a commit is looked for."""
LAST = 10
"""Lines of what a run said at its end that are shown where it failed."""
GRACE = 10.0
"""Seconds that a run has to end by itself when the watch ends."""

log = logging.getLogger("raypipe.watch")


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A settings file whose dataset's branch is looked at."""

    file: Path
    config: CycleConfig

    @property
    def uri(self) -> DatasetUri:
        """The dataset."""
        return parse_uri(self.config.data.dataset)


class Eye:
    """Looks at branches when it is told of news, and now and then."""

    def __init__(
        self, workshop: Workshop, watched: Sequence[Watched], say: Callable[[Json], None]
    ) -> None:
        self._workshop = workshop
        self._watched = watched
        self._say = say
        self._news = threading.Event()
        self._seen: dict[str, str] = {}
        self._faults: dict[str, str] = {}
        self._running: list[threading.Thread] = []
        self._processes: set[subprocess.Popen[bytes]] = set()

    def named(self) -> list[str]:
        """Return what is looked at."""
        protections = self._workshop.ledger.gate.protections()
        return sorted({str(one.uri) for one in self._watched} | {p.dataset for p in protections})

    def wake(self, asked: Asked) -> None:
        """Look soon: lakeFS says that something happened, which is not taken on trust."""
        self._news.set()

    def look_on(self, every: float) -> None:
        """Look until this process is interrupted."""
        while True:
            self._news.clear()
            self.look()
            self._news.wait(every)

    def look(self) -> None:
        """Look at each branch once; one that cannot be looked at keeps nobody from the others."""
        for protection in self._protections():
            with self._told(protection.dataset):
                self._look_at_protected(protection.dataset)
        for one in self._watched:
            with self._told(str(one.file)):
                self._look_for_news(one)

    def _protections(self) -> list[ProtectionRow]:
        with self._told("the ledger"):
            return self._workshop.ledger.gate.protections()
        return []

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Say once what a look comes to nothing by, and when that is over."""
        try:
            yield
        except Exception as error:  # the gate answers on, whatever is wrong with a branch
            if self._faults.get(what) != str(error):
                known = isinstance(error, RaypipeError)
                log.error("%s cannot be looked at: %s", what, error, exc_info=not known)
            self._faults[what] = str(error)
        else:
            if self._faults.pop(what, None) is not None:
                log.info("%s can be looked at again", what)

    # --- what nobody let in ---------------------------------------------------------------------

    def _look_at_protected(self, dataset: str) -> None:
        uri = parse_uri(dataset)
        versions = self._workshop.versions(uri)
        seen = f"protected {dataset}"
        if self._seen.get(seen) == versions.resolve(uri.ref):
            return
        claim = self._workshop.claims.claim(claim_of(dataset), firm=True)
        if claim is None:  # it is being protected just now, or another watch looks
            return
        try:
            now = [one for one in self._protections() if one.dataset == dataset]
            head = versions.resolve(uri.ref)
            for held in now:
                require_its_server(held, versions)
            undone = undo(self._workshop, now[0], versions, head) if now else None
        finally:
            claim.release()
        if undone is not None:
            log.error("%s", undone.said)
            self._say({"event": "undone", **undone.told})
        if undone is None or not undone.done:
            self._seen[seen] = head

    # --- what begins a run ----------------------------------------------------------------------

    def _look_for_news(self, one: Watched) -> None:
        uri = one.uri
        versions = self._workshop.versions(uri, store=one.config.store)
        head = versions.resolve(uri.ref)
        seen = f"run {one.file}"
        if self._seen.get(seen) == head or not self._may_run(uri, versions, head):
            return
        claim = self._workshop.claims.claim(f"watch-{one.config.name}", firm=True)
        if claim is None:  # another watch is at it
            return
        try:
            began = self._began(one, head)
            self._seen[seen] = head  # whatever comes of it: a ledger that is full begins it once
            if not began:
                self._begin(one, head)
        finally:
            claim.release()

    def _may_run(self, uri: DatasetUri, versions: VersionStore, head: str) -> bool:
        """Say whether a commit has data, all of it let in where its branch is protected."""
        for row in protections_of(self._workshop, uri):
            state = state_at(self._workshop, parse_uri(row.dataset), versions, head)
            if what_lets_in(state.verdicts) is None:
                return False
        return bool(versions.list(head, uri.prefix))

    def _began(self, one: Watched, commit: str) -> bool:
        """Say whether this commit began a run already, or a person ran it."""
        dataset, ledger = one.config.data.dataset, self._workshop.ledger
        if ledger.gate.has_triggered(one.config.name, dataset, commit):
            return True
        runs = ledger.list_runs(self._workshop.project, RECENT, pipeline=one.config.name)
        return any(run.commits.get(dataset) == commit for run in runs)

    def _begin(self, one: Watched, commit: str) -> None:
        dataset = one.config.data.dataset
        command = [sys.executable, "-m", "raypipe", "run", str(one.file)]
        process = subprocess.Popen(
            [*command, "--home", str(self._workshop.paths.home)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        begun = {"config": str(one.file), "dataset": dataset, "commit": commit}
        self._processes.add(process)
        self._say({"event": "run_begun", **begun})
        waiting = threading.Thread(target=self._wait_for, args=(process, begun), daemon=True)
        waiting.start()
        self._running = [*filter(threading.Thread.is_alive, self._running), waiting]
        self._workshop.ledger.gate.add_triggered(one.config.name, dataset, commit)

    def _wait_for(self, process: "subprocess.Popen[bytes]", begun: Json) -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            last = deque((line.decode("utf-8", "replace").rstrip() for line in lines), maxlen=LAST)
        code = process.wait()
        self._processes.discard(process)
        if code:
            log.error("the run of %s ended with %d: %s", begun["config"], code, "\n".join(last))
        self._say({"event": "run_ended", **begun, "exit": code})

    def end(self) -> None:
        """End the runs that were begun here, as a person would; they can be gone on with."""
        for process in list(self._processes):
            process.terminate()
        for waiting in self._running:
            waiting.join(GRACE)
