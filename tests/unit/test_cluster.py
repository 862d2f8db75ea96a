"""The files in cluster/ are what Ray takes, and what their README says of them."""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from raypipe.config.load import load
from raypipe.stages.serving.declare import Ports, environment

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
FILES = sorted(CLUSTER.glob("*.yaml"))
START_RAY = CLUSTER / "start_ray"

each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)


def prepared(file: Path) -> dict[str, Any]:
    """Return a file as `ray up` has it: with Ray's defaults in it."""
    from ray.autoscaler._private.util import prepare_config

    return prepare_config(yaml.safe_load(file.read_text()))


def start_commands(config: dict[str, Any]) -> list[str]:
    return [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]


def commands(config: dict[str, Any]) -> list[str]:
    """Return all that is run on any node."""
    return [one for name, some in config.items() if name.endswith("_commands") for one in some]


def exported(command: str) -> dict[str, str]:
    """Return the variables that a command exports."""
    return dict(re.findall(r"(?:^| )(\w+)=([^ ;]+)", command))


@each_file
def test_ray_takes_a_file_and_its_own_schema_allows_it(file: Path) -> None:
    from ray.autoscaler._private.util import validate_config

    config = prepared(file)
    validate_config(config)  # jsonschema with ray-schema.json, which allows no unknown key
    assert config["max_workers"] >= 1
    assert config["provider"]["type"] in {"local", "aws"}


@each_file
def test_ray_is_started_by_our_own_command_and_never_stopped_by_name(file: Path) -> None:
    """`ray stop`, which the defaults of Ray begin with, ends everybody's Ray on a machine."""
    config = prepared(file)
    for command in start_commands(config):
        assert "~/raypipe/cluster/start_ray --" in command
    assert "ray stop" not in " ".join(commands(config))


@each_file
def test_commands_are_shell(file: Path) -> None:
    for command in commands(prepared(file)):
        subprocess.run(["bash", "-n", "-c", command], check=True)


@each_file
def test_nodes_ask_for_a_token_and_show_no_port_to_the_world(file: Path) -> None:
    config = prepared(file)
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    for command in start_commands(config):
        assert exported(command)["RAY_AUTH_MODE"] == "token"
        assert "0.0.0.0" not in command
    assert "--dashboard-host=127.0.0.1" in config["head_start_ray_commands"][0]


def test_all_machines_of_one_s_own_become_workers() -> None:
    """Ray's second autoscaler, the default of `ray up`, takes the head for one of them."""
    config = prepared(CLUSTER / "on-premises.yaml")
    [node] = config["available_node_types"].values()
    assert node["min_workers"] == len(config["provider"]["worker_ips"])
    for command in config["head_start_ray_commands"]:
        assert exported(command)["RAY_enable_autoscaler_v2"] == "0"


@each_file
def test_nodes_have_the_variables_of_serve_that_a_gateway_of_raypipe_s_own_has(file: Path) -> None:
    ports = Ports(dashboard=1, stats=2, metrics=3, fallback=4)
    own = environment("mark", Path("/folder"), ports, Path("/token"))
    for command in start_commands(prepared(file)):
        given = {name: v for name, v in exported(command).items() if name.startswith("RAY_SERVE_")}
        assert given == {name: own[name] for name in given}
        assert given["RAY_SERVE_ENABLE_HA_PROXY"] == "1"


@each_file
def test_what_a_node_is_sent_is_there_and_enough_to_install_raypipe(file: Path) -> None:
    sent = prepared(file)["file_mounts"]
    sources = {source for target, source in sent.items() if target == f"~/raypipe/{source}"}
    assert set(sent.values()) - sources == {"~/.ray/auth_token"}
    assert all((ROOT / source).exists() for source in sources)
    assert sources >= {"pyproject.toml", "constraints.txt", "raypipe", "cluster"}
    assert sources >= {"README.md", "LICENSE"}  # which pyproject.toml names


def test_the_cloud_s_node_types_have_room_for_training_on_two_gpus() -> None:
    """Ray's own autoscaler, asked what it would start for the workers of a cycle."""
    from ray.autoscaler._private.node_provider_availability_tracker import NodeAvailabilitySummary
    from ray.autoscaler._private.resource_demand_scheduler import (
        _default_utilization_scorer,
        get_bin_pack_residual,
        get_nodes_for,
    )

    from raypipe.stages.tuning.on_ray import each

    sets = ["training.workers.count=2", "training.workers.gpu=true"]
    assert " ".join(f"--set {one}" for one in sets) in (CLUSTER / "README.md").read_text()
    workers = load(ROOT / "configs" / "flights.yaml", sets).training.workers
    config = prepared(CLUSTER / "aws.yaml")
    types, head = config["available_node_types"], config["head_node_type"]

    asked = [each(workers)] * workers.count
    left, _ = get_bin_pack_residual([types[head]["resources"]], asked)
    assert left == asked  # a head without a GPU has room for none
    started, left = get_nodes_for(
        types, {head: 1}, head, config["max_workers"], left,
        partial(_default_utilization_scorer, node_availability_summary=NodeAvailabilitySummary({})),
    )  # fmt: skip

    assert left == []
    assert started == {"gpu": 2}
    assert types["gpu"]["min_workers"] == 0  # which costs nothing while nobody trains


def test_the_readme_says_what_each_file_is_for() -> None:
    text = (CLUSTER / "README.md").read_text()
    for file in sorted(CLUSTER.iterdir()):
        assert file.name == "README.md" or f"| [{file.name}]({file.name}) |" in text, file.name


def test_the_readme_s_commands_name_what_is_there() -> None:
    text = (CLUSTER / "README.md").read_text()
    named = re.findall(r"(?<![\w/~.-])((?:scripts|configs|cluster)/[\w./-]*\w)", text)
    assert {"scripts/submit_cycle.py", "configs/flights.yaml"} <= set(named)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_start_ray_parses_and_may_be_executed() -> None:
    subprocess.run(["bash", "-n", START_RAY], check=True)
    assert os.access(START_RAY, os.X_OK)
    code = [line for line in START_RAY.read_text().splitlines() if not line.startswith("#")]
    assert not re.search(r"ray stop|pkill|killall", "\n".join(code))


def test_start_ray_says_what_it_is_for() -> None:
    for asked in ([START_RAY], [START_RAY, "--help"]):
        said = subprocess.run(asked, check=True, capture_output=True, text=True)
        assert "Starts a node of Ray on this machine" in said.stdout


def test_start_ray_without_ray_says_where_to_look_for_it(tmp_path: Path) -> None:
    environ = {"PATH": "/usr/bin:/bin", "RAYPIPE_NODE": str(tmp_path / "node")}
    said = subprocess.run(
        [START_RAY, "--head"], env=environ, capture_output=True, text=True, check=False
    )
    assert said.returncode == 1
    assert "there is no `ray` on PATH" in said.stderr
    assert not (tmp_path / "node").exists()


def test_start_ray_leaves_a_process_alone_that_has_the_number_of_its_own(tmp_path: Path) -> None:
    """A process id that was written down is another process's after a while."""
    with asleep() as other:
        (tmp_path / "pid").write_text(f"{other.pid}\n")
        (tmp_path / "mark").write_text("RAYPIPE_NODE_MARK=one that no process carries\n")
        environ = {**os.environ, "RAYPIPE_NODE": str(tmp_path)}
        said = subprocess.run(
            [START_RAY, "--stop"], env=environ, capture_output=True, text=True, check=True
        )
        assert "No node is up" in said.stdout
        assert other.poll() is None


@contextlib.contextmanager
def asleep() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(["sleep", "60"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()
