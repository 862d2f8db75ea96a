"""Who is told that a review waits, or that a run ended: JSON posted to an address."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from raypipe.app.outbox import Handler
from raypipe.engine.digest import digest_bytes
from raypipe.engine.records import Effect, Json, Review, RunRecord, RunStatus
from raypipe.errors import EffectFailed, EffectRefused

if TYPE_CHECKING:
    from raypipe.app.assemble import Workshop
    from raypipe.store.rows import OutboxRow

OCCASIONS = {
    RunStatus.SUCCEEDED: "succeeded",
    RunStatus.FAILED: "failed",
    RunStatus.REJECTED: "failed",
}
PASSING = {408, 409, 425, 429}
"""Answers below 500 after which it may work later."""
PUT_OFF = 500


# --- what is said (pure) ------------------------------------------------------------------------


def of_review(settings: Json, review: Review) -> tuple[Effect, ...]:
    """Return what a review that opens asks for."""
    said = {
        "event": "review",
        "project": review.project,
        "pipeline": review.pipeline,
        "run": review.run,
        "review": review.id,
        "step": review.step,
        "evidence": review.evidence,
        "command": f"raypipe review show {review.id}",
        "text": f"{review.pipeline}: {review.step} waits for a decision: "
        f"raypipe review show {review.id}",
    }
    return tuple(_effects(settings, "review", f"review:{review.id}:{review.run}", said))


def of_run(run: RunRecord, status: RunStatus, error: Json) -> tuple[Effect, ...]:
    """Return what the end of a run asks for."""
    occasion = OCCASIONS.get(status)
    if occasion is None:
        return ()
    why = f": {error['message']}" if error else ""
    said = {
        "event": occasion,
        "project": run.project,
        "pipeline": run.pipeline,
        "run": run.id,
        "status": str(status),
        "error": error,
        "command": f"raypipe runs show {run.id}",
        "text": f"{run.pipeline}: run {run.id} {status}{why}",
    }
    return tuple(_effects(run.settings, occasion, f"run:{run.id}:{status}", said))


def _effects(settings: Json, occasion: str, of: str, said: Json) -> Iterator[Effect]:
    for notice in (settings or {}).get("notify", ()):
        if occasion in notice["on"]:
            to = digest_bytes(repr(notice["url"]).encode())[:8]
            yield Effect(
                key=f"notice:{of}:{to}",
                kind="notice",
                payload={"url": notice["url"], "timeout": notice["timeout"], "body": said},
            )


# --- saying it ----------------------------------------------------------------------------------


def _tell(workshop: "Workshop", row: "OutboxRow") -> None:
    import http.client
    import json
    import urllib.error
    import urllib.request

    to = _shown(row.payload["url"])
    request = urllib.request.Request(
        address_of(row.payload["url"], "notify"),
        data=json.dumps(row.payload["body"]).encode(),
        headers={"Content-Type": "application/json", "Idempotency-Key": row.key},
        method="POST",
    )
    try:
        with _opener().open(request, timeout=row.payload["timeout"]):
            return
    except urllib.error.HTTPError as error:
        error.close()
        if error.code < PUT_OFF and error.code not in PASSING:
            raise EffectRefused(
                f"{to} answered {error.code}, and will not have it",
                hint="mend `notify` in the settings, then `raypipe outbox retry`",
            ) from error
        raise EffectFailed(f"{to} answered {error.code}") from error
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise EffectFailed(f"{to} did not answer: {why}") from error


def _opener() -> Any:
    """Return what follows no redirection: a POST would become a GET, and say nothing."""
    import urllib.request

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    return urllib.request.build_opener(Stay)


def address_of(url: Json, setting: str) -> str:
    """Return an address that a setting gives as it is, or by the name of a variable.

    EffectFailed where the variable holds none: whoever tries next may have it.
    """
    if isinstance(url, str):
        return url
    found = os.environ.get(url["env"], "")
    if not found.startswith(("http://", "https://")):
        raise EffectFailed(
            f"{url['env']} is {'no URL' if found else 'not set'} in the environment",
            hint=f"it holds the address that `{setting}` in the settings names",
        )
    return found


def _shown(url: Json) -> str:
    """Return an address as it may be shown: a path often is a password."""
    return urlsplit(url).netloc if isinstance(url, str) else f"${url['env']}"


NOTICE = Handler(do=_tell)
