"""deepchecks' environment, as scripts/test makes it once a machine."""

import subprocess
from pathlib import Path

import pytest

from raypipe.stages.validation.deepchecks.environment import Environment, find_environment

MISSING = "`raypipe checks install` makes it, as scripts/test does."


def made() -> Environment:
    """Return the environment, or skip the test and say why."""
    found = find_environment()
    if isinstance(found, str):
        pytest.skip(f"{found} {MISSING}")
    return found


def asked(environment: Environment, program: str, folder: Path) -> str:
    """Return what a program prints that runs in the environment."""
    done = subprocess.run(
        [str(environment.python), "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={"DISABLE_DEEPCHECKS_ANONYMOUS_TELEMETRY": "true"},
    )
    return done.stdout
