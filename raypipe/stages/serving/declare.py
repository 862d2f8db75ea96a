"""What Ray Serve is told, as data: its environment, the document that it is put, the versions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from raypipe.engine.digest import digest_bytes

APPLICATION = "raypipe"
DEPLOYMENT = "gateway"
BUILDER = "raypipe.stages.serving.on_ray:build"
MARK = "RAYPIPE_GATEWAY"
"""Variable that every process of a gateway's own Ray carries, with the gateway's own value."""


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """Where a gateway listens, and how it keeps what it is asked; fixed while it is up."""

    home: str
    host: str
    port: int
    replicas: int
    log: Literal["memory", "process", "disk"]
    seal_after: float
    seal_bytes: int
    largest_body: int


@dataclass(frozen=True, kw_only=True)
class Served:
    """The versions of one model that a gateway holds, and how its requests are divided."""

    versions: Mapping[str, str]
    """Version to the digest of its bundle."""
    champion: str | None
    shares: Mapping[str, float]
    """Version to share, the champion first; they sum to 1."""


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Free ports of this machine, for what Ray and HAProxy listen at beside the gateway's own."""

    dashboard: int
    stats: int
    metrics: int
    fallback: int


def environment(mark: str, folder: Path, ports: Ports, token: Path) -> dict[str, str]:
    """Return the variables that Ray is started with, so that every process of it has them.

    HAProxy hands requests to the replicas directly. Without the shorter draining its shutdown takes
    half a minute. Process titles must leave the environment alone, since that is what a gateway's
    processes are known by. Nobody looks at the figures that Ray gathers of its processes, which
    cost a third of what a gateway takes when nobody asks it.
    """
    proxy = folder / "haproxy"
    return {
        MARK: mark,
        "SPT_NOENV": "1",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_enable_metrics_collection": "0",
        "RAY_raylet_report_resources_period_milliseconds": "1000",
        "RAY_task_events_report_interval_ms": "0",
        "REPORTER_UPDATE_INTERVAL_MS": "60000",
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.25",
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "2",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(ports.fallback),
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(folder / "haproxy.sh"),
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "120",
        "RAY_SERVE_HAPROXY_STATS_PORT": str(ports.stats),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports.metrics),
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(proxy / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(proxy / "a"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(proxy / "m"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(proxy),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(proxy / "state"),
    }


NOT_READY = '{"error":"the gateway has no process that can answer just now; ask again"}'
NO_REQUEST = '{"error":"that is no request which is understood here; GET /docs shows some"}'

_PROXY = r"""#!/bin/sh
# Stands for HAProxy: what Ray wrote for it is mended, then HAProxy takes this process.
# Its pages of figures are for this machine alone, requests are logged by the gateway and not by
# syslog, and who begins a request has to go on soon. What never comes to the gateway, since no
# replica can answer or since the server before it understands no word, gets an error that has the
# form of the gateway's own. (Only of bytes that are no HTTP at all HAProxy says so in HTML.)
for word; do
    [ "$before" = -f ] && config=$word
    before=$word
done
sed -i \
    -e 's/^\( *bind \)\*\{0,1\}:\([0-9]*\)$/\1127.0.0.1:\2/' \
    -e '/^ *log 127\.0\.0\.1:514 /d' \
    -e '/^defaults/a\    timeout http-request 30s' \
    -e '/^frontend http_frontend/r /dev/stdin' \
    "$config" <<'RULES'
    http-request set-header x-request-disconnect-disabled ?1
    http-request return status 400 content-type application/json string '%NO_REQUEST' unless { path_beg / }
    acl is_json res.hdr(content-type) -m beg application/json
    http-response return status 400 content-type application/json string '%NO_REQUEST' if { status 400 403 } !is_json
    http-response return status 503 content-type application/json string '%NOT_READY' if { status ge 500 } !is_json
RULES
printf 'HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: %SIZE\r\nRetry-After: 1\r\n\r\n%s' \
    '%NOT_READY' >"$(dirname "$config")/500.http"
exec '%BINARY' "$@"
"""  # noqa: E501


def proxy_script(binary: str) -> str:
    """Return the script that Ray starts in place of HAProxy."""
    script = _PROXY.replace("%SIZE", str(len(NOT_READY))).replace("%BINARY", binary)
    return script.replace("%NOT_READY", NOT_READY).replace("%NO_REQUEST", NO_REQUEST)


def document(gateway: Gateway, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is put to Serve; where `config` alone differs, no process is restarted."""
    return {
        "proxy_location": "HeadOnly",
        "http_options": {"host": gateway.host, "port": gateway.port},
        "logging_config": {"enable_access_log": False, "log_level": "WARNING"},
        "applications": [
            {
                "name": APPLICATION,
                "route_prefix": "/",
                "import_path": BUILDER,
                "args": {
                    "home": gateway.home,
                    "level": gateway.log,
                    "seal_bytes": gateway.seal_bytes,
                    "seal_after": gateway.seal_after,
                },
                "deployments": [
                    {
                        "name": DEPLOYMENT,
                        "num_replicas": gateway.replicas,
                        "user_config": config,
                    }
                ],
            }
        ],
    }


def user_config(gateway: Gateway, models: Mapping[str, Served], again: str = "") -> dict[str, Any]:
    """Return what each replica is told; `revision` names the content, and `again` a repetition."""
    config = {
        "home": gateway.home,
        "largest_body": gateway.largest_body,
        "models": {
            name: {
                "versions": dict(model.versions),
                "champion": model.champion,
                "shares": dict(model.shares),
            }
            for name, model in models.items()
        },
    }
    text = json.dumps(config) + again  # the order of shares counts: the champion is the first
    return {**config, "revision": digest_bytes(text.encode())[:16]}
