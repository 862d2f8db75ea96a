"""What makes a lakeFS server ask raypipe before data comes to a branch: an action, and a rule."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from raypipe.errors import RaypipeError, StoreError, ValidationStopped
from raypipe.store.lakefs_server import LakeFSServer, Refusal

FOLDER = "_lakefs_actions/"
FILE = f"{FOLDER}raypipe.yaml"
"""Where lakeFS looks for it: for a merge in what comes in, else on the branch itself."""
ACTION = "raypipe gate"
VARIABLE = "LAKEFSACTION_RAYPIPE_TOKEN"
"""Of lakeFS's own environment, which shows its actions those alone that begin so."""
BEFORE = ("pre-merge", "pre-commit", "pre-revert", "pre-cherry-pick")
AFTER = ("post-merge",)
TIMEOUT = "60s"
"""lakeFS holds the branch so long, and then takes no answer for a no."""
ANY = "undo-nothing-by-this-name"
"""Never the name of an object: a protected branch refuses to remove it, another has no such."""


def action_text(gate: str, branches: Iterable[str], token: str | None = None) -> str:
    """Return the action; JSON is YAML. Without a token it names lakeFS's own variable."""
    secret = token or f"{{{{ ENV.{VARIABLE} }}}}"
    only = {"branches": sorted(branches)}
    action = {
        "name": ACTION,
        "description": "Written by `raypipe data protect`: lakeFS asks before anything comes in.",
        "on": dict.fromkeys((*BEFORE, *AFTER), only),
        "hooks": [
            {
                "id": "ask",
                "type": "webhook",
                "properties": {
                    "url": f"{gate.rstrip('/')}/ask",
                    "timeout": TIMEOUT,
                    "headers": {"Authorization": f"Bearer {secret}"},
                },
            }
        ],
    }
    return json.dumps(action, indent=1) + "\n"


def stopped_by_hook(said: str, what: str) -> RaypipeError:
    """Return what it means that lakeFS's hooks stop something."""
    if ACTION not in said and VARIABLE not in said:
        return StoreError(f"lakeFS does not do it ({what}): {said}", hint="ask who made that hook")
    if VARIABLE in said:
        return StoreError(
            f"lakeFS does not know the gate's token, so that nothing is let in ({what})",
            hint=f"start lakeFS with {VARIABLE} set to what the home's file gate_token holds",
        )
    status = re.search(r"status code: (\d+)", said)
    if status is None and "x509:" in said:
        return StoreError(
            f"lakeFS does not trust the gate's certificate, so that nothing is let in ({what}): "
            + said[said.index("x509:") :].splitlines()[0][:200],
            hint="name the gate as its certificate does, raypipe data protect DATASET --url "
            "https://NAME:PORT, and let lakeFS's machine trust who signed it (SSL_CERT_FILE)",
        )
    if status is None:
        slow = "deadline exceeded" in said or "Timeout" in said
        does = "does not answer in time" if slow else "does not answer"
        return StoreError(
            f"the gate {does}, so that nothing is let in ({what})",
            hint="is `raypipe watch` running, and reached from lakeFS at the address that `raypipe "
            "data show` tells?",
        )
    if status[1] == "401":
        return StoreError(
            f"the gate does not take lakeFS's token, so that nothing is let in ({what})",
            hint=f"start lakeFS with {VARIABLE} set to what the home's file gate_token holds, or "
            "protect the branch with --secret-in-repository, which needs no such variable",
        )
    if status[1] != "412":
        return StoreError(
            f"the gate cannot look, so that nothing is let in ({what}): it says {status[1]}",
            hint="`raypipe watch` prints why",
        )
    return ValidationStopped(
        f"the gate does not let it in ({what})",
        hint="`raypipe watch` prints why, and `raypipe data show` in the home that it is of",
    )


@dataclass(frozen=True, kw_only=True)
class _Rules:
    patterns: tuple[str, ...]
    checksum: str | None


class LakeFSGuard:
    """The protection rules of a repository, and the action that is brought to its branches."""

    def __init__(self, server: LakeFSServer, repo: str) -> None:
        self._server = server
        self._repo = repo

    def protect(self, branch: str) -> None:
        """Let changes come to a branch by merges alone."""
        rules = self._rules()
        if branch not in rules.patterns:
            self._set((*rules.patterns, branch), rules.checksum)

    def unprotect(self, branch: str) -> None:
        """Let changes come to a branch in any way."""
        rules = self._rules()
        if branch in rules.patterns:
            self._set(tuple(one for one in rules.patterns if one != branch), rules.checksum)

    def is_protected(self, branch: str) -> bool:
        """Say whether the server holds to the rule by now: it looks at rules every few seconds."""

        def removed(sdk: Any) -> bool:
            sdk.objects_api.delete_object(self._repo, branch, ANY)
            return False

        return self._server.ask(removed, but={403: lambda _: True, 404: lambda _: False})

    def bring(self, commit: str, branch: str) -> bool:
        """Repeat a commit on a branch; false where that holds what is not committed, or clashes."""
        from lakefs_sdk import CherryPickCreation

        made = CherryPickCreation(ref=commit)

        def pick(sdk: Any) -> bool:
            sdk.branches_api.cherry_pick(self._repo, branch, made)
            return True

        def refused(refusal: Refusal) -> bool:
            return "no changes" in refusal.said

        return self._server.ask(pick, but=dict.fromkeys((400, 403, 404, 409, 412), refused))

    def _rules(self) -> _Rules:
        def get(sdk: Any) -> _Rules:
            answer = sdk.repositories_api.get_branch_protection_rules_with_http_info(self._repo)
            return _Rules(
                patterns=tuple(one.pattern for one in answer.data),
                checksum=(answer.headers or {}).get("ETag"),
            )

        return self._server.ask(get)

    def _set(self, patterns: tuple[str, ...], checksum: str | None) -> None:
        from lakefs_sdk import BranchProtectionRule

        rules = [BranchProtectionRule(pattern=one) for one in patterns]

        def put(sdk: Any) -> None:
            given = {} if checksum is None else {"if_match": checksum}
            sdk.repositories_api.set_branch_protection_rules(self._repo, rules, **given)

        def changed(_: Refusal) -> None:
            raise StoreError(
                f"somebody changed the protection rules of {self._repo} meanwhile", hint="Try again"
            )

        self._server.ask(put, but={412: changed})
