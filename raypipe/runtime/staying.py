"""A step in this process cannot end the process as if all was done."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


@contextmanager
def staying() -> Iterator[None]:
    """Let `os._exit` raise SystemExit in the body, where this thread of this process calls it.

    What else calls it ends: a child that was forked, and who gives up on a step from outside.
    """
    here, leave = (os.getpid(), threading.get_ident()), os._exit

    def stay(status: int) -> NoReturn:
        if (os.getpid(), threading.get_ident()) != here:
            leave(status)
        raise SystemExit(f"os._exit({status}), which would end the run with it")

    os._exit = stay
    try:
        yield
    finally:
        os._exit = leave
