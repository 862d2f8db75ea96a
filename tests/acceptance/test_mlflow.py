"""Runs are copied to a real MLflow server: whole, once, and later where it was away."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance import tiny
from tests.conftest import Project
from tests.mlflow_server import Unavailable, mlflow

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server."""
    try:
        with mlflow(tmp_path_factory.mktemp("mlflow")) as url:
            yield url
    except Unavailable as why:
        pytest.skip(str(why))


def client(url: str) -> Any:
    return pytest.importorskip("mlflow").MlflowClient(tracking_uri=url)


def copies(url: str, experiment: str) -> list[Any]:
    found = client(url).get_experiment_by_name(experiment)
    return list(client(url).search_runs([found.experiment_id])) if found else []


def track(project: Project, uri: str, experiment: str) -> None:
    text = f"track: {{mlflow: {{uri: '{uri}', experiment: {experiment}}}}}\n"
    project.write("tiny.yaml", tiny.SETTINGS + text)


def test_a_run_is_copied_with_its_settings_curves_tags_and_version(
    trained: Project, server: str
) -> None:
    track(trained, server, "whole")
    tiny.approve(trained)
    said = tiny.run(trained)
    assert said.result["status"] == "succeeded", said.err
    (copy,) = copies(server, "whole")
    assert copy.info.status == "FINISHED"
    assert copy.data.tags["raypipe.run"] == said.result["run"]
    assert copy.data.tags["raypipe.version"] == "tiny@1.0.0"
    assert copy.data.params["training.epochs"] == "2"
    curve = client(server).get_metric_history(copy.info.run_id, "train.loss")
    assert [point.step for point in curve] == [1, 2]
    (version,) = client(server).search_model_versions("name = 'tiny'")
    assert (version.run_id, version.tags["raypipe.version"]) == (copy.info.run_id, "1.0.0")


def test_a_copy_that_was_killed_goes_on_and_is_not_a_second_one(
    trained: Project, server: str
) -> None:
    """The process dies when the copy is made, and before that is recorded."""
    track(trained, server, "killed")
    died = trained.raypipe("run", "tiny.yaml", RAYPIPE_FAULT="effect.done")
    assert died.code != 0
    first = copies(server, "killed")
    assert len(first) == 1
    assert trained.raypipe("outbox", "deliver").code == 0
    again = copies(server, "killed")
    assert [one.info.run_id for one in again] == [one.info.run_id for one in first]
    assert trained.raypipe("outbox", "list", "--json").result["effects"] == []


def test_a_server_that_is_away_ends_no_run_and_gets_it_later(trained: Project, server: str) -> None:
    track(trained, "http://127.0.0.1:9", "later")
    said = tiny.run(trained)
    assert said.result["status"] == "waiting", said.err
    (waits,) = trained.raypipe("outbox", "list", "--json").result["effects"]
    assert "did not take the run" in waits["error"]
    assert "Traceback" not in said.err
