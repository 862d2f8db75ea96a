"""What Serve is asked by the REST API of its Ray's dashboard: to hold a document, and how it is."""

import json
from pathlib import Path
from typing import Any

from raypipe.errors import ClusterError
from raypipe.stages.serving.declare import APPLICATION, DEPLOYMENT

TIMEOUT = 60.0


class Dashboard:
    """The dashboard of one Ray; `token` is the file that its callers are trusted by."""

    def __init__(self, url: str, token: Path) -> None:
        self._url = f"{url}/api/serve/applications/"
        self._token = token

    def put(self, document: dict[str, Any]) -> None:
        """Let Serve become what a document says; this returns before it has."""
        self._ask("PUT", document)

    def replicas(self) -> list[int] | None:
        """Return the processes that answer, all with the last document; None while that changes.

        ClusterError says what Serve says where it cannot become so.
        """
        found = json.loads(self._ask("GET"))["applications"].get(APPLICATION)
        if found is None:
            return None
        deployment = found["deployments"].get(DEPLOYMENT, {})
        if found["status"] in {"DEPLOY_FAILED", "UNHEALTHY"}:
            said = deployment.get("message") or found["message"] or found["status"]
            raise ClusterError(f"the gateway is not well: {_last_line(said)}")
        if found["status"] != "RUNNING" or deployment.get("status") != "HEALTHY":
            return None
        return [one["pid"] for one in deployment["replicas"] if one["state"] == "RUNNING"]

    def delete(self) -> None:
        """Let Serve answer what it was asked, and end."""
        self._ask("DELETE")

    def _ask(self, method: str, document: dict[str, Any] | None = None) -> bytes:
        import http.client
        import urllib.error
        import urllib.request

        request = urllib.request.Request(
            self._url,
            method=method,
            data=None if document is None else json.dumps(document).encode(),
            headers={
                "Authorization": f"Bearer {self._token.read_text().strip()}",
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            raise ClusterError(f"Serve refuses: {_last_line(said)}") from error
        except (OSError, http.client.HTTPException) as error:
            raise ClusterError(
                f"the Ray of the gateway does not answer: {error}",
                hint="`raypipe serve stop`, then `raypipe serve start`",
            ) from error


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), text)[:500]
