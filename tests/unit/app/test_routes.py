"""Shares are divided, read and taken back by plain rules."""

import time
from threading import Thread
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raypipe.app import routes
from raypipe.app.routes import champion_before, divide, read_shares
from raypipe.engine.records import Actor
from raypipe.errors import ClusterError, UsageError
from raypipe.store.claims import FileClaims
from raypipe.store.rows import AliasChange

ANN = Actor(user="ann", host="laptop")


def history(*changes: str, alias: str = "champion") -> list[AliasChange]:
    """Changes oldest first, `<` before one that went back; they are kept newest first."""
    return [
        AliasChange(
            alias=alias, version=one.lstrip("<"), actor=ANN, time=0.0, back=one.startswith("<")
        )
        for one in reversed(changes)
    ]


@pytest.mark.parametrize(
    ("champion", "stored", "shares"),
    [
        (None, {}, {}),
        ("a", {}, {"a": 1.0}),
        ("a", {"a": 0.9, "b": 0.1}, {"a": 0.9, "b": 0.1}),
        ("c", {"a": 0.9, "b": 0.1}, {"c": 0.9, "b": 0.1}),
        ("b", {"a": 0.9, "b": 0.1}, {"b": 1.0}),
        ("b", {"a": 0.5, "b": 0.25, "c": 0.25}, {"b": 0.75, "c": 0.25}),
        (None, {"a": 0.5, "b": 0.5}, {"a": 0.5, "b": 0.5}),
    ],
)
def test_whoever_became_the_champion_takes_the_share_of_the_one_before(champion, stored, shares):
    assert divide(champion, stored) == shares
    assert list(divide(champion, stored)) == list(shares)  # the champion first


names = st.text("abc", min_size=1, max_size=1)


@given(champion=names, parts=st.dictionaries(names, st.integers(1, 9), min_size=1))
def test_shares_sum_to_one_whoever_becomes_the_champion(champion, parts):
    stored = {version: part / sum(parts.values()) for version, part in parts.items()}
    shares = divide(champion, stored)
    assert sum(shares.values()) == pytest.approx(1)
    assert next(iter(shares)) == champion


@pytest.mark.parametrize(
    ("changes", "before"),
    [
        ([], None),
        (["a"], None),
        (["a", "b"], "a"),
        (["a", "b", "a"], "b"),  # an older one was promoted; the way back leads to the newer one
        (["a", "b", "<a"], None),
        (["a", "b", "c", "<b"], "a"),
        (["a", "b", "c", "<b", "<a"], None),
        (["a", "b", "c", "<b", "d"], "b"),
        (["a", "b", "a", "<b"], "a"),
    ],
)
def test_the_way_back_leads_to_the_champion_before_and_then_on(changes, before):
    assert champion_before(history(*changes)) == before


def test_other_aliases_are_no_champions():
    changes = [*history("c", "d", alias="shadow"), *history("a", "b")]
    assert champion_before(changes) == "a"


def test_shares_are_read_in_their_order():
    assert read_shares(["1.1.0=0.9", "1.0.0=.1"]) == {"1.1.0": 0.9, "1.0.0": 0.1}
    assert read_shares(["1.0.0=1", "odd=name=0"]) == {"1.0.0": 1.0, "odd=name": 0.0}
    thirds = read_shares([f"{name}={1 / 3!r}" for name in "abc"])
    assert sum(thirds.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("texts", "words", "hint"),
    [
        (["1.0.0"], "'1.0.0' is no VERSION=SHARE", "1.0.0=0.9 1.1.0=0.1"),
        (["=0.5"], "is no VERSION=SHARE", None),
        (["a=much"], "the share of a is 'much', which is no number", "such as 0.1"),
        (["a=90"], "the share of a is 90; a share is from 0 to 1", "10 % is 0.1"),
        (["a=-0.1"], "is -0.1", None),
        (["a=nan"], "is nan", None),
        (["a=0.5", "a=0.5"], "version a has two shares", "give it one"),
        (["a=0.9", "b=0.2"], "the shares of a, b sum to 1.1, not to 1", "such as a=0.8 b=0.2"),
        (["a=1", "b=1", "c=1"], "sum to 3", "give each version a part of 1"),
        (["a=0"], "sum to 0", "such as a=1"),
    ],
)
def test_shares_that_make_no_sense_are_told_with_what_would(texts, words, hint):
    with pytest.raises(UsageError) as refused:
        read_shares(texts)
    assert words in str(refused.value)
    assert hint is None or hint in refused.value.hint


def test_two_commands_tell_the_gateway_one_after_the_other(tmp_path, monkeypatch):
    """Else what the ledger said before may be told after what it says now."""
    under_way, most = [], []

    def tell_slowly(*_: object) -> None:
        under_way.append(1)
        time.sleep(0.1)
        most.append(len(under_way))
        under_way.pop()

    monkeypatch.setattr(routes, "_tell", tell_slowly)
    workshop = SimpleNamespace(claims=FileClaims(tmp_path / "claims"))
    threads = [Thread(target=routes.tell, args=(workshop, None)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1]
    with pytest.raises(ClusterError, match="another command"), routes._turn(workshop.claims, 1):
        routes.tell(workshop, None, patience=0.1)
