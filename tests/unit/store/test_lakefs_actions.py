"""What lakeFS is told to ask, and what its refusals mean; the texts are those that it says."""

import pytest
import yaml

from raypipe.errors import StoreError, ValidationStopped
from raypipe.store.lakefs_actions import VARIABLE, action_text, stopped_by_hook

HOOK = (
    "update branch main: pre-merge hook aborted, run id '4om24rpksdufbf6qse60': 1 error occurred:"
    "\n\t* hook run id '0000_0000' failed on action 'raypipe gate' hook 'ask': action failed: "
)


def test_an_action_asks_before_each_change_and_tells_after_a_merge():
    action = yaml.safe_load(action_text("http://h:1/", {"main", "dev"}))
    assert sorted(action["on"]) == [
        "post-merge",
        "pre-cherry-pick",
        "pre-commit",
        "pre-merge",
        "pre-revert",
    ]
    assert all(on == {"branches": ["dev", "main"]} for on in action["on"].values())
    (hook,) = action["hooks"]
    assert hook["properties"]["url"] == "http://h:1/ask"


def test_an_action_holds_no_secret_unless_it_is_given_one():
    """Who reads the repository reads it."""
    secret = "s" * 40
    assert f"Bearer {{{{ ENV.{VARIABLE} }}}}" in action_text("http://h:1", {"main"})
    assert f"Bearer {secret}" in action_text("http://h:1", {"main"}, secret)


@pytest.mark.parametrize(
    ("said", "kind", "words", "hint"),
    [
        (
            HOOK + "webhook request failed (status code: 412)",
            ValidationStopped,
            "does not let it in",
            "raypipe data show",
        ),
        (
            HOOK + 'Post "http://127.0.0.1:9/ask": dial tcp 127.0.0.1:9: connect: connection '
            "refused",
            StoreError,
            "the gate does not answer",
            "is `raypipe watch` running",
        ),
        (
            HOOK + 'Post "http://127.0.0.1:9/ask": context deadline exceeded (Client.Timeout '
            "exceeded while awaiting headers)",
            StoreError,
            "does not answer in time",
            "is `raypipe watch` running",
        ),
        (
            HOOK + 'Post "https://h:9/ask": tls: failed to verify certificate: x509: certificate '
            "signed by unknown authority\n\n",
            StoreError,
            "certificate signed by unknown authority",
            "SSL_CERT_FILE",
        ),
        (
            HOOK + "webhook request failed (status code: 401)",
            StoreError,
            "does not take lakeFS's token",
            "gate_token",
        ),
        (
            HOOK + "webhook request failed (status code: 503)",
            StoreError,
            "says 503",
            "prints why",
        ),
        (
            "update branch main: pre-merge hook aborted, run id '4om24rpksdufbf6qse60': extracting "
            f"headers: reading header: {VARIABLE} not found: missing env var",
            StoreError,
            "does not know the gate's token",
            VARIABLE,
        ),
        (
            "update branch main: pre-merge hook aborted, run id '4om': 1 error occurred:\n\t* hook "
            "run id '0000_0000' failed on action 'theirs' hook 'x': action failed: webhook request "
            "failed (status code: 412)",
            StoreError,
            "action 'theirs'",
            "who made that hook",
        ),
    ],
)
def test_what_a_refusal_means_and_what_to_do_next(said, kind, words, hint):
    error = stopped_by_hook(said, "new into main of flights")
    assert type(error) is kind
    assert words in str(error)
    assert "new into main of flights" in str(error)
    assert hint in str(error.hint)
