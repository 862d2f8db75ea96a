"""Requests to a lakeFS server: what may pass by itself is asked again, the rest is told."""

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from raypipe.errors import NotFound, RaypipeError, StoreError, UsageError
from raypipe.store.lakefs_access import LakeFSPlace, find_access

T = TypeVar("T")

PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before another try; each is varied, so that many spread."""
FIRST = 4
"""So many of them for a server that never answered yet: its address may be a slip."""
TIMEOUT = (10.0, 300.0)
"""Seconds to connect, and to answer: a commit of very many objects takes its time."""
AT_ONCE = 16
"""Most connections of one process."""
PASSING = {423, 429, 500, 502, 503, 504}
ABORTED = "hook aborted"
"""What lakeFS says where an action of the repository stops something."""
LATER = "look whether the server answers, then run again: what was recorded is kept"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A request that the server understood and will not have."""

    status: int
    said: str

    @property
    def may_pass(self) -> bool:
        """Whether it is worth asking again; a hook that cannot be asked is told as a 500."""
        return self.status in PASSING and ABORTED not in self.said


class _Refused(Exception):
    """Another answer than 2xx to an upload."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.body = status, body


class LakeFSServer:
    """A lakeFS server. Its errors name it, and hold neither credentials nor what was sent."""

    def __init__(
        self,
        place: LakeFSPlace,
        *,
        pauses: tuple[float, ...] = PAUSES,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._access = find_access(place)
        self._pauses = pauses
        self._wait = wait
        self._answered = False

    @property
    def endpoint(self) -> str:
        """Its address."""
        return self._access.endpoint

    def ask(
        self,
        act: Callable[[Any], T],
        *,
        but: Mapping[int, Callable[[Refusal], T]] | None = None,
        done: Callable[[Any], T | None] = lambda sdk: None,
    ) -> T:
        """Return what `act` gets of the client.

        `but` says what a refusal of a status means; `done` finds what an earlier try did, should
        its answer have been lost.
        """
        lost, tries = False, 0
        while True:
            try:
                found = done(self._sdk) if lost else None
                answer = act(self._sdk) if found is None else found
                self._answered = True
                return answer
            except RaypipeError:
                raise
            except Exception as error:
                failed = _refusal(error)
            if isinstance(failed, Refusal) and not failed.may_pass:
                self._answered = True
                return self._refused(failed, but or {})
            lost = True
            pauses = self._pauses if self._answered else self._pauses[:FIRST]
            if tries == len(pauses):
                raise self._unreachable(failed, tries)
            self._wait(pauses[tries] * random.uniform(0.5, 1.5))
            tries += 1

    def upload(self, repo: str, branch: str, path: str, file: Path, meta: Mapping[str, str]) -> Any:
        """Return what answers `act` of `ask`: put a file under a path, whole or not at all."""

        def act(sdk: Any) -> Mapping[str, Any]:
            api = sdk.objects_api.api_client
            headers = {"Accept": "application/json", "Content-Type": "application/octet-stream"}
            headers |= {f"x-lakefs-meta-{name}": text for name, text in meta.items()}
            headers["Content-Length"] = str(file.stat().st_size)
            place = f"/repositories/{quote(repo)}/branches/{quote(branch)}/objects"
            api.update_params_for_auth(headers, None, ["basic_auth"], place, "POST", None)
            with file.open("rb") as body:
                answer = api.rest_client.pool_manager.request(
                    "POST",
                    f"{api.configuration.host}{place}?path={quote(path, safe='')}",
                    headers=headers,
                    body=body,
                )
            if answer.status // 100 != 2:
                raise _Refused(answer.status, answer.data)
            told: Mapping[str, Any] = json.loads(answer.data)
            return told

        return act

    @cached_property
    def _sdk(self) -> Any:
        import urllib3
        from lakefs import Client

        access = self._access
        client = Client(
            host=access.endpoint, username=access.access_key, password=access.secret_key
        )
        sdk = client.sdk_client
        rest = sdk.objects_api.api_client.rest_client
        rest.request = partial(rest.request, _request_timeout=TIMEOUT)
        rest.pool_manager.connection_pool_kw |= {
            "retries": urllib3.Retry(0, redirect=3),
            "timeout": urllib3.Timeout(connect=TIMEOUT[0], read=TIMEOUT[1]),
            "maxsize": AT_ONCE,
        }
        return sdk

    def _refused(self, refusal: Refusal, but: Mapping[int, Callable[[Refusal], T]]) -> T:
        if refusal.status in but:
            return but[refusal.status](refusal)
        if refusal.status == 401:
            raise StoreError(
                f"lakeFS at {self.endpoint} does not know the credentials of {self._access.source}",
                hint="look whether they belong to this server, and are not revoked",
            )
        raise self.told(refusal)

    def told(self, refusal: Refusal) -> RaypipeError:
        """Return a refusal as an error of raypipe's."""
        said = f"lakeFS at {self.endpoint} says: {refusal.said}"
        if refusal.status == 403:
            return StoreError(said, hint="look at what its policies allow these credentials")
        if refusal.status == 404:
            return NotFound(said)
        return UsageError(said) if refusal.status == 400 else StoreError(said)

    def _unreachable(self, failed: Refusal | str, tries: int) -> StoreError:
        why = f"it says {failed.status} ({failed.said})" if isinstance(failed, Refusal) else failed
        return StoreError(
            f"lakeFS at {self.endpoint} cannot be asked: {why}, {tries + 1} times", hint=LATER
        )


def _refusal(error: Exception) -> Refusal | str:
    """Return what an error of the client means: a refusal, or in words why there is no answer."""
    import urllib3
    from lakefs_sdk.exceptions import ApiException

    if isinstance(error, _Refused):
        return Refusal(status=error.status, said=_message(error.body))
    if isinstance(error, ApiException) and error.status:
        return Refusal(status=int(error.status), said=_message(error.body))
    if isinstance(error, urllib3.exceptions.HTTPError | ApiException):
        reason = getattr(error, "reason", None)
        return _in_words(reason if isinstance(reason, Exception) else error)
    raise error


def _in_words(error: Exception) -> str:
    return {
        "NewConnectionError": "nothing answers there",
        "NameResolutionError": "its name is not known",
        "ConnectTimeoutError": "it does not answer in time",
        "ReadTimeoutError": "it does not answer in time",
        "ProtocolError": "it broke the connection off",
        "SSLError": "its certificate is not trusted",
    }.get(type(error).__name__, type(error).__name__)


def _message(body: Any) -> str:
    """Return the sentence of an answer's body; what hooks say stands in the lines after it."""
    try:
        said = str(json.loads(body or "{}").get("message") or "").strip()
    except (ValueError, AttributeError):
        said = ""
    if ABORTED in said:
        return " ".join(said.split())
    return said.splitlines()[0] if said else "no"
