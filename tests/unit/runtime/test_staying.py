"""A step in this process cannot end it as if all was done; what it forked and others may."""

import os
import subprocess
import sys

import pytest

from raypipe.runtime.staying import staying

OTHER = """
import os, threading, time
from raypipe.runtime.staying import staying

with staying():
    threading.Thread(target=os._exit, args=(5,)).start()
    time.sleep(60)
"""


def test_who_exits_there_raises_what_says_so():
    with staying(), pytest.raises(SystemExit, match=r"os\._exit\(0\)"):
        os._exit(0)


def test_a_child_ends_as_it_says():
    with staying():
        child = os.fork()
        if not child:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_another_thread_ends_the_process():
    ended = subprocess.run([sys.executable, "-c", OTHER], timeout=50, check=False)
    assert ended.returncode == 5


def test_afterwards_it_is_as_before():
    before = os._exit
    with staying():
        assert os._exit is not before
    assert os._exit is before
