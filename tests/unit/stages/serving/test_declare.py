"""What Serve is told is a pure function of what is wanted; a revision names its content."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from raypipe.stages.serving.declare import (
    MARK,
    NOT_READY,
    Gateway,
    Ports,
    Served,
    document,
    environment,
    proxy_script,
    user_config,
)

GATEWAY = Gateway(
    home="/home/ann/p/.raypipe",
    host="127.0.0.1",
    port=8000,
    replicas=2,
    log="process",
    seal_after=60,
    seal_bytes=1 << 26,
    largest_body=1 << 22,
)
MODELS = {"flights": Served(versions={"1.1.0": "bb", "1.0.0": "aa"}, champion="1.1.0", shares={})}


def routed(**shares: float) -> dict[str, Served]:
    return {"flights": replace(MODELS["flights"], shares=shares)}


def test_a_revision_is_the_same_for_the_same_content_alone():
    revision = user_config(GATEWAY, MODELS)["revision"]
    assert user_config(GATEWAY, dict(MODELS))["revision"] == revision
    assert user_config(GATEWAY, MODELS, again="1")["revision"] != revision
    assert user_config(replace(GATEWAY, largest_body=1), MODELS)["revision"] != revision


def test_the_order_of_shares_counts_since_the_first_is_the_champion():
    one, other = routed(a=0.5, b=0.5), routed(b=0.5, a=0.5)
    assert user_config(GATEWAY, one)["revision"] != user_config(GATEWAY, other)["revision"]


def test_another_route_changes_nothing_but_the_configuration():
    """All else would have Serve replace the replicas."""

    def without(shares: dict[str, float]) -> dict:
        made = document(GATEWAY, user_config(GATEWAY, routed(**shares)))
        del made["applications"][0]["deployments"][0]["user_config"]
        return made

    assert without({"a": 1.0}) == without({"a": 0.5, "b": 0.5})


def test_what_is_told_can_be_written_as_json():
    made = document(GATEWAY, user_config(GATEWAY, MODELS))
    assert json.loads(json.dumps(made)) == made
    assert made["http_options"] == {"host": "127.0.0.1", "port": 8000}
    assert made["applications"][0]["deployments"][0]["num_replicas"] == 2


def test_each_process_carries_the_mark_and_no_two_share_a_port(tmp_path):
    ports = Ports(dashboard=1, stats=2, metrics=3, fallback=4)
    made = environment("mine", tmp_path, ports, tmp_path / "token")
    assert made[MARK] == "mine"
    assert {made[f"RAY_SERVE_HAPROXY_{name}_PORT"] for name in ("STATS", "METRICS")} == {"2", "3"}
    assert all(isinstance(value, str) for value in made.values())


CONFIG = """\
global
    log 127.0.0.1:514 local0
defaults
    mode http
frontend prometheus
    bind *:9101
frontend stats
    bind :8404
frontend http_frontend
    bind 0.0.0.0:8000
    default_backend b
"""


@pytest.fixture
def mended(tmp_path: Path) -> list[str]:
    """Lines of what Ray wrote for HAProxy, after the script that stands for it saw them."""
    (tmp_path / "haproxy.cfg").write_text(CONFIG)
    script = tmp_path / "haproxy.sh"
    script.write_text(proxy_script("/bin/true"))
    script.chmod(0o700)
    command = [str(script), "-D", "-f", str(tmp_path / "haproxy.cfg"), "-p", "pid"]
    subprocess.run(command, check=True)
    return (tmp_path / "haproxy.cfg").read_text().splitlines()


def test_pages_of_figures_listen_at_this_machine_alone(mended):
    assert "    bind 127.0.0.1:9101" in mended
    assert "    bind 127.0.0.1:8404" in mended
    assert "    bind 0.0.0.0:8000" in mended  # the gateway's own, as the settings say
    assert not any("514" in line for line in mended)
    rules = mended[mended.index("frontend http_frontend") + 1 :]
    assert "x-request-disconnect-disabled" in rules[0]
    assert rules[-2:] == ["    bind 0.0.0.0:8000", "    default_backend b"]


def test_who_begins_a_request_has_to_go_on_soon(mended):
    assert mended[mended.index("defaults") + 1].split() == ["timeout", "http-request", "30s"]


def test_who_cannot_be_answered_gets_an_error_in_the_gateways_form(mended, tmp_path):
    head, body = (tmp_path / "500.http").read_bytes().decode().split("\r\n\r\n")
    assert head.startswith("HTTP/1.1 503 ")
    assert f"Content-Length: {len(body)}" in head
    assert body == NOT_READY
    assert list(json.loads(body)) == ["error"]
