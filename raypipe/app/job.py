"""The Ray job that this process is a part of, as its environment tells of it; Ray is not needed."""

import os
from pathlib import Path

_MARK = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray in a job's entrypoint, and in nothing else."""
_COPIES = "working_dir_files"
"""Name of the folder in which Ray unpacks working directories."""


def in_job() -> bool:
    """Say whether this process was started by `ray job submit`."""
    return _MARK in os.environ


def job_address() -> str | None:
    """Return the address of the cluster that the job belongs to; None outside of a job."""
    return os.environ.get("RAY_ADDRESS") or "auto" if in_job() else None


def job_folder(path: Path) -> Path | None:
    """Return the job's working directory that a path is in, which each worker has a copy of.

    None outside of a job, or where the path is elsewhere.
    """
    if not in_job():
        return None
    above = (folder for folder in (path, *path.parents) if folder.parent.name == _COPIES)
    return next(above, None)


def as_submitted(path: Path) -> Path:
    """Return a path as it is named where the job was submitted: relative to its working directory.

    Ray's copy of that goes with the job. Other paths are as they are.
    """
    copy = job_folder(path)
    return path if copy is None else path.relative_to(copy)
