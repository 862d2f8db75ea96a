"""What a process knows of the Ray job that it is a part of."""

from pathlib import Path

import pytest

from raypipe.app.job import as_submitted, in_job, job_address, job_folder

COPY = Path("/tmp/ray/session_1/runtime_resources/working_dir_files/_ray_pkg_0123")


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    return monkeypatch


def test_outside_of_a_job_there_is_nothing_of_it(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert not in_job()
    assert job_address() is None
    assert job_folder(COPY / "a.yaml") is None
    assert as_submitted(COPY / "a.yaml") == COPY / "a.yaml"


def test_a_job_runs_on_its_own_cluster(job):
    assert in_job()
    assert job_address() == "10.0.0.1:6379"
    job.delenv("RAY_ADDRESS")
    assert job_address() == "auto"


def test_a_file_of_the_working_directory_is_named_as_it_was_submitted(job):
    assert job_folder(COPY / "configs" / "a.yaml") == job_folder(COPY) == COPY
    assert as_submitted(COPY / "configs" / "a.yaml") == Path("configs/a.yaml")


def test_a_file_elsewhere_keeps_its_name_in_a_job(job):
    assert job_folder(Path("/shared/a.yaml")) is None
    assert as_submitted(Path("/shared/a.yaml")) == Path("/shared/a.yaml")
