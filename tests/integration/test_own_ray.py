"""A Ray of our own: where it cannot start, all is as it was before."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow]

CANNOT_START = """
import json, os, sys, tempfile
from pathlib import Path

from raypipe.app import worker
from raypipe.engine.ports import StepCall
from raypipe.errors import ClusterError
from raypipe.runtime.on_ray import RayOptions, RayRuntime
from raypipe.runtime.processes import adopt_orphans, children

home = Path(sys.argv[1])
call = StepCall(
    id="1", step="s", target="m:s", root=home, folders=(".",), arguments={}, batch=None,
    resources={}, timeout=None, scratch=home, events=home / "events", run="r1", home=home,
)
try:  # Ray refuses so many CPUs once half of its processes are up
    RayRuntime(worker.run_on_ray, RayOptions(home=home, cpus=-1)).submit(call)
except ClusterError as error:
    said = str(error)
folders = list(Path(tempfile.gettempdir()).glob(f"rp-{os.getpid()}-*"))
left = len(children()) + len(folders)
print(json.dumps({"said": said, "left": left, "adopts": adopt_orphans(False)}))
"""


def test_a_ray_that_cannot_start_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    """Nor does the process take the orphans of others from then on: it would wait for none."""
    done = subprocess.run(
        [sys.executable, "-c", CANNOT_START, str(tmp_path)],
        env={**os.environ, "HOME": str(tmp_path), "TMPDIR": "/tmp"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert "Ray cannot start on this machine: Resource quantities" in told["said"]
    assert told["left"] == 0
    assert not told["adopts"]
