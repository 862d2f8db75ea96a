"""A protected branch takes what was validated or accepted, exactly as it would be."""

import pytest

from raypipe.app.gate import Asked, State, decide, read_asked
from raypipe.engine.records import Actor
from raypipe.errors import UsageError
from raypipe.store.rows import ProtectionRow, VerdictRow

ANN = Actor(user="ann", host="laptop", name="Ann")
MERGE = Asked(
    event="pre-merge", repo="flights", branch="main", source="new", source_commit="c1", commit="c2"
)
HELD = ProtectionRow(dataset="lakefs://flights/main", gate="http://h:1", action="a1", actor=ANN)


def verdict(word: str, note: str = "") -> VerdictRow:
    return VerdictRow(
        content="d1", verdict=word, dataset="x", run="r1", evidence="e1", actor=ANN, note=note
    )


def state(*words: str, action: str | None = "a1") -> State:
    return State(verdicts=[verdict(word, "so it is") for word in words], shards=3, action=action)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["pass"], "validated by run r1"),
        (["accepted"], "accepted by Ann: so it is"),
        (["accepted", "stop"], "accepted by Ann: so it is"),
        (["stop", "pass"], "validated by run r1"),
    ],
)
def test_what_somebody_let_in_may_come(words, why):
    answer = decide(MERGE, HELD, state(*words))
    assert (answer.allowed, answer.reason) == (True, why)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "what lakefs://flights/main would be (3 shards) was never validated"),
        (
            ["stop"],
            "what lakefs://flights/main would be (3 shards) was stopped by the validation of run "
            "r1",
        ),
    ],
)
def test_what_nobody_let_in_may_not_come(words, why):
    answer = decide(MERGE, HELD, state(*words))
    assert (answer.allowed, answer.reason) == (False, why)


@pytest.mark.parametrize("action", [None, "a2"])
def test_nothing_comes_that_takes_away_what_makes_lakefs_ask(action):
    answer = decide(MERGE, HELD, state("pass", action=action))
    assert not answer.allowed
    assert "_lakefs_actions/raypipe.yaml" in answer.reason


def test_a_local_branch_has_no_file_that_makes_anybody_ask():
    held = ProtectionRow(dataset="local://flights/main", actor=ANN)
    assert decide(MERGE, held, state("pass", action=None)).allowed


@pytest.mark.parametrize(
    ("event", "instead"),
    [
        ("pre-commit", "raypipe data merge lakefs://flights/main BRANCH --config FILE"),
        ("pre-revert", "raypipe data revert lakefs://flights/main COMMIT"),
        ("pre-cherry-pick", "raypipe data merge lakefs://flights/main BRANCH --config FILE"),
        ("pre-tea", "raypipe data protect lakefs://flights/main"),
    ],
)
def test_a_change_is_refused_of_which_lakefs_does_not_say_what_comes_of_it(event, instead):
    asked = Asked(event=event, repo="flights", branch="main")
    answer = decide(asked, HELD, None)
    assert not answer.allowed
    assert instead in answer.reason


BODY = {
    "event_type": "pre-merge",
    "repository_id": "flights",
    "branch_id": "main",
    "merge_source": "new",
    "source_ref": "c1",
    "commit_id": "c2",
    "commit_metadata": {"anything": "at all"},
}


def test_what_lakefs_says_is_read():
    assert read_asked(BODY) == MERGE


@pytest.mark.parametrize(
    ("metadata", "origin"),
    [
        ({"cherry-pick-origin": "c7"}, "c7"),
        ({"cherry-pick-origin": 7}, ""),
        ({"cherry-pick-origin": "c" * 1001}, ""),
        (["cherry-pick-origin"], ""),
        (None, ""),
    ],
)
def test_what_is_picked_is_read_where_lakefs_says_it(metadata, origin):
    assert read_asked({**BODY, "commit_metadata": metadata}).origin == origin


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "pre-merge",
        {},
        {**BODY, "event_type": ""},
        {**BODY, "repository_id": 7},
        {**BODY, "branch_id": None},
        {**BODY, "merge_source": ["new"]},
        {**BODY, "commit_id": "c" * 1001},
    ],
)
def test_what_is_nothing_of_lakefs_is_refused(body):
    with pytest.raises(UsageError, match="the request"):
        read_asked(body)
