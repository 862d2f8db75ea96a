"""Which version answers: routes, promotion and its way back, and telling them to the gateway."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raypipe.app import outbox
from raypipe.app.assemble import Workshop
from raypipe.app.gateway import GatewayState, find, told
from raypipe.app.look import look, workshop_of
from raypipe.app.models import CHAMPION, find_version, require_model
from raypipe.engine.ports import Claims
from raypipe.engine.records import Effect, Json
from raypipe.errors import ClusterError, NotFound, RaypipeError, StoreError, UsageError
from raypipe.fault_points import fault_point
from raypipe.runtime.on_ray import token_file
from raypipe.stages.serving.dashboard import Dashboard
from raypipe.stages.serving.declare import Served, document, user_config
from raypipe.store.paths import HomePaths

if TYPE_CHECKING:
    from raypipe.store.ledger import SqlLedger
    from raypipe.store.rows import AliasChange, OutboxRow

PATIENCE = 120.0
"""Seconds that the gateway has to load what it is told of."""
TELLING = "gateway-told"
"""Claimed by whoever tells the gateway what the ledger says."""
ROUNDING = 1e-9
SHOWN = 10
"""Routes of before that are shown."""

# --- decisions (pure) ---------------------------------------------------------------------------


def divide(champion: str | None, stored: Mapping[str, float]) -> dict[str, float]:
    """Return the shares of versions now, the champion first.

    A route is kept with its champion first. Whichever version became the champion since takes the
    share of the one that was, on top of its own; so that the alias and the route never disagree.
    """
    if champion is None:
        return dict(stored)
    if not stored:
        return {champion: 1.0}
    first, *others = stored
    shares = {champion: stored[first]}
    for version in others:
        shares[version] = shares.get(version, 0.0) + stored[version]
    return shares


def champion_before(history: Sequence["AliasChange"]) -> str | None:
    """Return the champion that the one of now came after; `history` is newest first.

    What went back undid the change before it: going back twice leads two back, not forth.
    """
    came: list[str] = []
    for change in reversed(history):
        if change.alias != CHAMPION:
            continue
        if change.back:
            came.pop()
        else:
            came.append(change.version)
    return came[-2] if len(came) > 1 else None


def read_shares(texts: Sequence[str]) -> dict[str, float]:
    """Read `VERSION=SHARE` pairs; UsageError unless they are from 0 to 1 and sum to 1."""
    shares: dict[str, float] = {}
    for text in texts:
        version, equals, number = text.rpartition("=")
        if not equals or not version:
            raise UsageError(
                f"{text!r} is no VERSION=SHARE", hint="write it like 1.0.0=0.9 1.1.0=0.1"
            )
        if version in shares:
            raise UsageError(f"version {version} has two shares", hint="give it one")
        shares[version] = read_share(number, f"the share of {version}")
    total = sum(shares.values())
    if abs(total - 1) > ROUNDING:
        raise UsageError(
            f"the shares of {', '.join(shares)} sum to {total:.6g}, not to 1",
            hint=_mended(shares, total),
        )
    return shares


def read_share(text: str | float, what: str) -> float:
    """Read a number from 0 to 1; UsageError names what it is of."""
    try:
        share = float(text)
    except ValueError:
        raise UsageError(f"{what} is {text!r}, which is no number", hint="such as 0.1") from None
    if not 0 <= share <= 1:
        raise UsageError(f"{what} is {share:g}; a share is from 0 to 1", hint="10 % is 0.1")
    return share


def _mended(shares: Mapping[str, float], total: float) -> str:
    first, *others = shares
    rest = 1 - (total - shares[first])
    if not 0 <= rest <= 1:
        return "give each version a part of 1"
    told = [f"{first}={rest:.6g}", *(f"{one}={shares[one]:g}" for one in others)]
    return f"such as {' '.join(told)}"


# --- what is kept -------------------------------------------------------------------------------


def shares_of(ledger: "SqlLedger", model: str) -> dict[str, float]:
    """Return how a model's requests are divided, the champion first; empty where none answers."""
    history = ledger.route_history(model)
    return divide(ledger.aliases(model).get(CHAMPION), history[0].shares if history else {})


def show_route(model: str, home: Path | None) -> Json:
    """Return how a model's requests are divided, since when, and how they were before."""
    workshop = look(home)
    find_model(workshop, model)
    return _route(workshop, model)


def set_route(model: str, pairs: Sequence[str], *, by: str | None, home: Path | None) -> Json:
    """Divide a model's requests so, and tell the gateway; the champion stays the champion."""
    shares = read_shares(pairs)
    find_model(look(home), model)
    workshop = workshop_of(home, by=by)
    ledger = workshop.ledger
    named: dict[str, float] = {}
    for name, share in shares.items():
        version = ledger.version(model, name).version
        if version in named:
            raise UsageError(
                f"{name} is version {version}, which has a share already", hint="give it one"
            )
        named[version] = share
    champion = ledger.aliases(model).get(CHAMPION)
    if champion is not None:
        named = {champion: named.get(champion, 0.0), **named}
    _enter_route(workshop, model, named)
    return {**_route(workshop, model), "serving": push(workshop)}


def promote(name: str, share: float | None, *, by: str | None, home: Path | None) -> Json:
    """Make a version the champion, with all requests; or with a share, the challenger of it."""
    looked = look(home)
    if "@" not in name:
        find_model(looked, name)
        known = ", ".join(row.version for row in looked.ledger.versions(name)[:5])
        raise UsageError(
            f"{name!r} does not say which version is promoted",
            hint=f"write {name}@VERSION; there are {known}",
        )
    version = find_version(looked.ledger, name)
    workshop = workshop_of(home, by=by)
    before = workshop.ledger.aliases(version.model).get(CHAMPION)
    if share is None:
        _crown(workshop, version.model, version.version)
    else:
        _challenge(workshop, version.model, version.version, before, read_share(share, "--share"))
    said = {"did": "promoted" if share is None else "challenges", "version": version.version}
    return {**_route(workshop, version.model), **said, "before": before, "serving": push(workshop)}


def rollback(model: str, *, by: str | None, home: Path | None) -> Json:
    """Make the champion of before the champion again, with all requests."""
    looked = look(home)
    find_model(looked, model)
    back = champion_before(looked.ledger.alias_history(model))
    now = looked.ledger.aliases(model).get(CHAMPION)
    if back is None:
        raise NotFound(
            f"{model} has no champion before {now}" if now else f"{model} has no champion",
            hint=f"`raypipe promote {model}@VERSION` makes any version the champion",
        )
    workshop = workshop_of(home, by=by)
    _crown(workshop, model, back, undoes=now)
    said = {"did": "rolled back", "version": back, "before": now}
    return {**_route(workshop, model), **said, "serving": push(workshop)}


def _crown(workshop: Workshop, model: str, version: str, *, undoes: str | None = None) -> None:
    """Make a version the champion; `undoes` is the one that it goes back from."""
    ledger, told = workshop.ledger, [gateway_told()]
    back = undoes is not None

    def enter() -> None:
        ledger.set_alias(model, CHAMPION, version, workshop.actor, back=back, since=undoes)
        ledger.set_route(model, {version: 1.0}, workshop.actor)
        ledger.ask_for(told)

    ledger.together(enter)
    fault_point("route.entered")


def _challenge(
    workshop: Workshop, model: str, version: str, champion: str | None, share: float
) -> None:
    if champion is None:
        raise UsageError(
            f"{model} has no champion that {version} could challenge",
            hint=f"`raypipe promote {model}@{version}` makes it the champion",
        )
    if champion == version:
        raise UsageError(
            f"{model}@{version} is the champion, and so no challenger",
            hint=f"`raypipe route {model} VERSION=SHARE …` divides its requests",
        )
    _enter_route(workshop, model, {champion: 1 - share, version: share})


def _enter_route(workshop: Workshop, model: str, shares: Mapping[str, float]) -> None:
    ledger, told = workshop.ledger, [gateway_told()]

    def enter() -> None:
        ledger.set_route(model, shares, workshop.actor)
        ledger.ask_for(told)

    ledger.together(enter)
    fault_point("route.entered")


def find_model(workshop: Workshop, model: str) -> None:
    """NotFound unless there is a version of this model."""
    if "@" in model:
        raise UsageError(
            f"{model!r} names a version; this is about a whole model",
            hint=f"leave it away: {model.partition('@')[0]}",
        )
    require_model(workshop.ledger, model)


def _route(workshop: Workshop, model: str) -> dict[str, Any]:
    ledger = workshop.ledger
    history = ledger.route_history(model)
    return {
        "model": model,
        "champion": ledger.aliases(model).get(CHAMPION),
        "shares": shares_of(ledger, model),
        "history": [
            {"shares": row.shares, "actor": asdict(row.actor), "time": row.time}
            for row in history[:SHOWN]
        ],
    }


# --- what the gateway is told -------------------------------------------------------------------


def served(workshop: Workshop, keep: int) -> dict[str, Served]:
    """Return what a gateway is to hold.

    Of each model the versions that its route and its aliases name, and the newest ones.
    """
    return {model: _served(workshop.ledger, model, keep) for model in workshop.ledger.models()}


def _served(ledger: "SqlLedger", model: str, keep: int) -> Served:
    rows = ledger.versions(model)
    aliases = ledger.aliases(model)
    shares = shares_of(ledger, model)
    wanted = {*shares, *aliases.values(), *(row.version for row in rows[:keep])}
    return Served(
        versions={row.version: row.bundle for row in rows if row.version in wanted},
        champion=aliases.get(CHAMPION),
        shares=shares,
    )


def gateway_told() -> Effect:
    """Return what a change of versions or routes asks for: that the gateway is told what is so.

    Not what changed: whatever is so by then. Made once for an act, which may be carried out twice.
    """
    return Effect(key=f"gateway:{os.urandom(8).hex()}", kind="gateway", payload={})


def push(workshop: Workshop) -> Json:
    """Tell the gateway that is up what the ledger says, whether or not anybody asked for that.

    Returns where it is once it holds that, or None if none is up. StoreError names what it could
    not load.
    """
    asked_for = outbox.waiting(workshop, "gateway")
    outbox.deliver_now(workshop, asked_for)
    state = _ready(workshop)
    if state is None:
        return None
    if not asked_for:
        tell(workshop, state)
    return {"url": state.url}


def _ready(workshop: Workshop) -> GatewayState | None:
    """Return the gateway that answers; one that only starts is told what is so when it does."""
    state = find(workshop.paths)
    return state if state is not None and state.status == "ready" else None


def _tell_it(workshop: Workshop, row: "OutboxRow") -> None:
    state = _ready(workshop)
    if state is not None:
        tell(workshop, state)


GATEWAY_TOLD = outbox.Handler(
    do=_tell_it, already_done=lambda workshop, row: _ready(workshop) is None
)


def serving_now(workshop: Workshop) -> Json:
    """Push after a run; what goes wrong is told, and does not undo the run."""
    try:
        pushed = push(workshop)
    except RaypipeError as error:
        return {"served": False, "error": str(error), "hint": error.hint}
    return {"served": pushed is not None, **(pushed or {})}


def tell(workshop: Workshop, state: GatewayState, patience: float = PATIENCE) -> None:
    """Tell a gateway what the ledger says, and wait until each of its processes holds that.

    One at a time: what the ledger said before would else be told after what it says now.
    """
    with _turn(workshop.claims, patience):
        _tell(workshop, state, patience)


@contextmanager
def _turn(claims: Claims, patience: float) -> Iterator[None]:
    """Be the only one who tells the gateway anything in the body."""
    deadline = time.monotonic() + patience
    while (claim := claims.claim(TELLING)) is None:
        if time.monotonic() > deadline:
            raise ClusterError(
                f"another command has been telling the gateway for {patience:.0f} s",
                hint="`raypipe serve status` shows what it holds",
            )
        time.sleep(0.05)
    try:
        yield
    finally:
        claim.release()


def _tell(workshop: Workshop, state: GatewayState, patience: float) -> None:
    dashboard = dashboard_of(workshop.paths, state)
    models = served(workshop, state.keep)
    wanted = user_config(state.gateway, models)
    said = _said(workshop, dashboard.replicas(), wanted["revision"])
    if said and all(one["fault"] is None for one in said):
        return
    again = f"{time.time_ns():x}" if said else ""  # else Serve would not ask the replicas again
    wanted = user_config(state.gateway, models, again)
    dashboard.put(document(state.gateway, wanted))
    fault_point("gateway.put")
    deadline = time.monotonic() + patience
    while not (said := _said(workshop, dashboard.replicas(), wanted["revision"])):
        if time.monotonic() > deadline:
            raise ClusterError(
                f"the gateway did not load what it was told of in {patience:.0f} s",
                hint="`raypipe serve status` shows what it holds",
            )
        time.sleep(0.05)
    for one in said:
        if one["fault"] is not None:
            raise StoreError(
                f"the gateway goes on with what it held before: {one['fault']['message']}",
                hint=one["fault"]["hint"] or "`raypipe doctor --verify` looks for torn artifacts",
            )


def dashboard_of(paths: HomePaths, state: GatewayState) -> Dashboard:
    """Return the way to Serve of a gateway."""
    return Dashboard(state.dashboard, token_file(paths.home))


def _said(workshop: Workshop, pids: list[int] | None, revision: str) -> list[dict[str, Any]]:
    """Return what the processes say of a revision, once all of them were told of it."""
    said = [one for one in told(workshop.paths, pids or []) if one["revision"] == revision]
    return said if pids and len(said) == len(pids) else []
