"""A Postgres of the tests' own, from the machine's binaries, in a folder that goes with it."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

OLDEST = 15
FAST = {
    "fsync": "off",  # a test's server never has to survive the machine
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "autovacuum": "off",
    "logging_collector": "off",
    "log_min_messages": "fatal",
}
_NUMBERS = count(1)


def binaries() -> Path | None:
    """Return the folder of the newest Postgres on this machine; None without one new enough."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    if on_path := shutil.which("postgres"):
        found.append(Path(on_path).resolve().parent)
    known = [(_version(folder), folder) for folder in found if (folder / "initdb").exists()]
    usable = [(version, folder) for version, folder in known if version >= OLDEST]
    return max(usable)[1] if usable else None


def _version(folder: Path) -> int:
    said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True)
    words = said.stdout.split()
    return int(words[2].partition(".")[0]) if len(words) > 2 else 0


def _as_somebody() -> dict[str, Any]:
    """Return how a process is started that must not be root's: Postgres refuses that."""
    if os.getuid():
        return {}
    import pwd

    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    somebody = names.get("postgres") or names["nobody"]
    return {"user": somebody.pw_uid, "group": somebody.pw_gid, "extra_groups": []}


def _dies_with_the_tests() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG: no server is left behind


class Postgres:
    """A server that is up; may be stopped, killed and started again."""

    PASSWORD = "pw/wïth@'quotes"

    def __init__(self, folder: Path, bin: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self._settings = settings
        self._bin = bin
        self._somebody = _as_somebody()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        if self._somebody:
            os.chown(folder, self._somebody["user"], self._somebody["group"])
        word = folder / "pw"
        word.write_text(self.PASSWORD)
        word.chmod(0o644)
        self._run(
            "initdb", "--no-sync", "--auth-local=trust", "--auth-host=scram-sha-256",
            "--username=raypipe", f"--pwfile={word}", "--encoding=UTF8", "--locale=C.UTF-8",
            f"--pgdata={self._data}",
        )  # fmt: skip

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    @property
    def address(self) -> str:
        """How a client without a password comes in."""
        return f"postgresql://raypipe@/postgres?host={self.folder}&port={self.port}"

    def url(self, schema: str | None = None) -> str:
        """Return a URL of a new schema, or of one that is there."""
        if schema is None:
            schema = f"s{next(_NUMBERS)}"
            self.ask(f"CREATE SCHEMA {schema}")
        return f"{self.address}&options=-csearch_path%3D{schema}"

    def ask(self, statement: str) -> list[Any]:
        """Execute a statement from outside and return its rows."""
        import psycopg

        with psycopg.connect(self.address, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        command = [
            self._bin / "postgres", "-D", self._data, "-k", self.folder, "-p", str(self.port),
            *(f"--{name}={value}" for name, value in self._settings.items()),
            "--listen_addresses=127.0.0.1",
        ]  # fmt: skip
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                preexec_fn=_dies_with_the_tests,
                **self._somebody,
            )
        deadline = time.monotonic() + 60
        while not self._takes_connections():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, "Postgres did not start in time"
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        """The server's own process; those of its connections are its children."""
        assert self._process is not None
        return self._process.pid

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: at once (SIGINT), or as if it had crashed (SIGQUIT)."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def _takes_connections(self) -> bool:
        check = [self._bin / "pg_isready", "-q", "-h", self.folder, "-p", str(self.port)]
        return subprocess.run(check).returncode == 0

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._bin / name, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            **self._somebody,
        )
        assert done.returncode == 0, done.stderr


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def a_postgres(**settings: str) -> Iterator[Postgres]:
    """Make a server in a new folder, with settings over those of tests; leave nothing of it."""
    bin = binaries()
    assert bin is not None
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # short: a socket's path is
    server = Postgres(folder, bin, {**FAST, **settings})
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


class Cutting:
    """A way to a server that swallows its answer to a word, once, and is cut then.

    Of several words each is waited for after the one before, on the same connection; an empty one
    is whatever is said next.
    """

    def __init__(self, to: int) -> None:
        self.words: list[bytes] = []
        self.cuts = 0
        self._to = to
        self._on: socket.socket | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def through(self, url: str) -> str:
        """Return a URL that goes this way to the schema of another; it needs the password."""
        options = url.rpartition("&")[2]
        return f"postgresql://raypipe@127.0.0.1:{self.port}/postgres?{options}"

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._to))
            cut = threading.Event()
            for source, target in ((client, server), (server, client)):
                threading.Thread(
                    target=self._hand_on, args=(source, target, cut), daemon=True
                ).start()

    def _hand_on(self, source: socket.socket, target: socket.socket, cut: threading.Event) -> None:
        forth = target.getpeername()[1] == self._to
        with source, target:
            while data := _received(source):
                if forth and self._said(source, data):
                    cut.set()
                elif not forth and cut.is_set():
                    break  # the server has answered: it did what it was told
                target.sendall(data)
            for end in (source, target):
                _with_nothing_more(end)

    def _said(self, source: socket.socket, data: bytes) -> bool:
        """Say whether the last word has been said just now."""
        if not self.words or self.words[0] not in data or self._on not in (None, source):
            return False
        self.words.pop(0)
        self._on = source if self.words else None
        self.cuts += not self.words
        return not self.words


def _with_nothing_more(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _received(source: socket.socket) -> bytes:
    try:
        return source.recv(65536)
    except OSError:
        return b""
