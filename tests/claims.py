"""Claims of each kind as tests open them, in this process and in others of their own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from raypipe.engine.ports import Claims
from raypipe.store.claims import FileClaims
from raypipe.store.ledger_claims import claims_in
from raypipe.store.postgres_url import parse

Open = Callable[[str, float], Claims]
"""From where they are kept, and after how many seconds they lapse, to claims."""


def _in_ledger(where: str, lapse: float) -> Claims:
    return claims_in(parse(where), lapse)


CLAIMS: dict[str, Open] = {
    "folder": lambda where, lapse: FileClaims(Path(where), lapse),
    "ledger": _in_ledger,
}
"""Each kind that there is."""

PROCESS = """
import sys
from tests.claims import CLAIMS

kind, where, lapse = sys.argv[1:]
claims, held = CLAIMS[kind](where, float(lapse)), {}
for line in sys.stdin:
    what, key = line.split()
    if what == "end":
        break
    if what == "release":
        held.pop(key).release()
        print("done", flush=True)
        continue
    claim = claims.share(key) if what == "share" else claims.claim(key, firm=what == "firm")
    if claim is not None:
        held[key] = claim
    print(claim is not None, flush=True)
"""


class Another:
    """Another process that claims what it is told to."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def ask(self, what: str, key: str = "k") -> bool:
        """Let it `claim`, `share`, or `release`; say what came of it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{what} {key}\n")
        self.process.stdin.flush()
        said = self.process.stdout.readline().strip()
        assert said in {"True", "False", "done"}, said
        return said != "False"

    def stop(self) -> None:
        """Stop it, as Ctrl-Z does, and wait until it stands."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def go_on(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """Let it end by itself, with what it holds."""
        assert self.process.stdin is not None
        self.process.stdin.write("end k\n")
        self.process.stdin.flush()
        self.process.wait()

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()


@contextmanager
def another_process(kind: str, where: str, lapse: float = 30.0) -> Iterator[Another]:
    """Have another process in the body."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, kind, where, str(lapse)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Another(process)
    finally:
        process.kill()
        process.communicate()
