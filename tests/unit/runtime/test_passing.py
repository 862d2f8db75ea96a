"""Large values that steps pass on in memory: what is read, what is kept, and how much."""

import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raypipe.engine.digest import digest_bytes
from raypipe.runtime.passing import LEAST, Blobs, Held, Passing
from raypipe.store.folder import FolderArtifacts
from raypipe.values.codec import TreeCodec

ROOM = 8 * LEAST
ROWS = LEAST // 4
"""Of four bytes: a blob that is just large enough."""


def numbers(kind: type = np.int32) -> np.ndarray:
    return np.arange(ROWS, dtype=kind)


def tensor() -> Any:
    import torch

    return torch.arange(ROWS, dtype=torch.int32)


LARGE = {
    "array": numbers,
    "matrix": lambda: numbers().reshape(2, -1),
    "tensor": tensor,
    "table": lambda: pa.table({"n": numbers()}),
    "frame": lambda: pa.table({"n": numbers(), "m": numbers(np.int64)}).to_pandas(),
    "bytes": lambda: numbers().tobytes(),
    "in a dict": lambda: {"one": numbers(), "two": [numbers(np.float32)], "small": 1},
}


def sent(blobs: Blobs) -> Mapping[str, Any]:
    """Return blobs as Ray gives them to another process: where nobody can write."""
    beside: list[pickle.PickleBuffer] = []
    text = pickle.dumps(blobs, protocol=5, buffer_callback=beside.append)
    assert len(text) < LEAST
    return pickle.loads(text, buffers=[bytes(one) for one in beside])  # type: ignore[no-any-return]


def publish(
    value: Any, codec: TreeCodec, artifacts: FolderArtifacts, room: int = ROOM
) -> tuple[bytes, Passing]:
    passing = Passing(room=room)
    encoded = codec.encode(value)
    for blob in encoded.blobs:
        assert isinstance(blob, bytes)
        passing.around(artifacts).put_bytes(blob)
    passing.around(artifacts).put_bytes(encoded.manifest, encoded.digest)
    return encoded.manifest, passing


def writable(value: Any) -> list[bool]:
    """Say of each part of a value whether a step could write into it."""
    if isinstance(value, dict | list):
        return [one for part in (value.values() if type(value) is dict else value)
                for one in writable(part)]  # fmt: skip
    if isinstance(value, np.ndarray):
        return [value.flags.writeable]
    if isinstance(value, pa.Table):
        return [buffer.is_mutable for buffer in value.column(0).chunk(0).buffers() if buffer]
    if hasattr(value, "to_numpy"):
        return [value[name].to_numpy().flags.writeable for name in value.columns]
    return []


@pytest.mark.parametrize("kind", LARGE)
def test_a_value_is_the_same_from_memory_without_its_artifact(
    kind: str, codec: TreeCodec, artifacts: FolderArtifacts
) -> None:
    manifest, passing = publish(LARGE[kind](), codec, artifacts)
    kept = codec.decode(manifest, artifacts)
    assert passing.sizes
    for digest in passing.sizes:
        assert artifacts.verify(digest)  # durable all the same
        artifacts.remove(digest)
    found = codec.decode(manifest, Passing([sent(passing.kept)]).around(artifacts))

    assert codec.encode(found).digest == codec.encode(kept).digest
    assert type(found) is type(kept)
    assert writable(found) == writable(kept)


def test_who_writes_into_what_he_was_given_writes_into_his_own(
    codec: TreeCodec, artifacts: FolderArtifacts
) -> None:
    manifest, passing = publish({"array": numbers(), "tensor": tensor()}, codec, artifacts)
    given = Passing([sent(passing.kept)])
    first = codec.decode(manifest, given.around(artifacts))
    first["array"][0] = first["tensor"][0] = 7
    second = codec.decode(manifest, given.around(artifacts))
    assert (second["array"][0], second["tensor"][0]) == (0, 0)


def test_an_array_from_memory_is_not_read_from_its_artifact_and_others_are(
    codec: TreeCodec, artifacts: FolderArtifacts
) -> None:
    one, passing = publish(numbers(), codec, artifacts)
    other, _ = publish(numbers(np.float32), codec, artifacts)
    seen = Passing([sent(passing.kept)]).around(artifacts)
    assert codec.decode(one, seen)[1] == 1
    assert codec.decode(other, seen).dtype == np.float32


def test_what_is_small_what_has_no_room_and_what_was_given_is_not_kept(
    codec: TreeCodec, artifacts: FolderArtifacts
) -> None:
    assert publish(b"x" * (LEAST - 1), codec, artifacts)[1].kept == {}
    assert publish(b"x" * LEAST, codec, artifacts, room=LEAST - 1)[1].kept == {}
    two = [b"x" * LEAST, b"y" * LEAST]
    assert len(publish(two, codec, artifacts, room=2 * LEAST - 1)[1].kept) == 1

    _, passing = publish(b"x" * LEAST, codec, artifacts)
    again = Passing([sent(passing.kept)], ROOM)
    again.around(artifacts).put_bytes(b"x" * LEAST)
    assert again.sizes == {}


def test_a_call_without_either_sees_the_artifacts_themselves(artifacts: FolderArtifacts) -> None:
    assert Passing().around(artifacts) is artifacts


def test_the_oldest_bundle_goes_when_there_is_no_room() -> None:
    held = Held(bound=10)
    held.hold("first", {"a": 4})
    held.hold("second", {"b": 2, "c": 2})
    held.give_back(held.lend(["a"]))  # it was asked for last
    held.hold("third", {"d": 4})
    assert held.lend(["a", "b", "c", "d"]) == ("first", "third")
    assert held.size == 8


def test_a_bundle_that_a_call_has_stays_and_what_has_no_room_is_not_held() -> None:
    held = Held(bound=10)
    held.hold("first", {"a": 6})
    lent = held.lend(["a"])
    held.hold("second", {"b": 6})
    assert (held.size, held.lend(["b"])) == (6, ())
    held.give_back(lent)
    held.hold("second", {"b": 6})
    assert (held.size, held.lend(["a", "b"])) == (6, ("second",))


def test_a_bundle_is_lent_once_for_all_that_it_holds_and_a_newer_one_comes_first() -> None:
    held = Held(bound=10)
    held.hold("first", {"a": 1, "b": 1})
    held.hold("second", {"b": 1})
    assert held.lend(["a", "b", "other"]) == ("first", "second")
    held.drop("first")
    held.drop("second")
    assert (held.size, held.lend(["a", "b"])) == (0, ())


@pytest.mark.parametrize("seed", range(20))
def test_never_more_is_held_than_the_bound(seed: int) -> None:
    chance = np.random.default_rng(seed)
    held, lent = Held(bound=100), []
    for number in range(200):
        held.hold(number, {digest_bytes(b"%d" % number): int(chance.integers(1, 60))})
        if chance.random() < 0.3:
            lent.append(held.lend([digest_bytes(b"%d" % n) for n in range(number - 3, number)]))
        if lent and chance.random() < 0.3:
            held.give_back(lent.pop(0))
        assert 0 <= held.size <= 100
