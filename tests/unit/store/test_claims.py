"""Claims in a folder leave nothing behind, and do not mind what earlier versions left."""

import os
from pathlib import Path

import pytest

from raypipe.errors import StoreError
from raypipe.store.claims import FileClaims


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "home" / "claims"


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_released_claim_is_free_and_leaves_no_file(folder):
    claims = FileClaims(folder)
    for _ in range(3):
        claim, shared = claims.claim("k"), claims.share("home")
        assert claim is not None
        claim.release()
        shared.release()
        assert files(folder) == []
        assert [path.name for path in folder.iterdir() if path.name[0] != "."] == []


def test_a_look_makes_nothing(folder):
    assert FileClaims(folder).standing("k") == "free"
    assert not folder.exists()


def test_the_lock_of_an_earlier_raypipe_is_not_in_the_way(folder):
    folder.mkdir(parents=True)
    for key in ("k", "home"):
        (folder / key).touch()
    claims = FileClaims(folder)
    assert claims.standing("k") == "free"
    assert claims.claim("k") is not None
    claims.share("home").release()
    assert claims.claim("k") is None


def test_an_empty_folder_that_a_killed_process_left_is_free(folder):
    (folder / "k").mkdir(parents=True)
    claim = FileClaims(folder).claim("k")
    assert claim is not None
    claim.release()
    assert not (folder / "k").exists()


def test_a_child_that_was_forked_holds_its_own_claims(folder):
    """It has no thread that beats for its parent, and is known by another number."""
    claims = FileClaims(folder)
    assert claims.claim("parents") is not None
    child = os.fork()
    if child == 0:
        os._exit(0 if claims.claim("childs") and claims.claim("parents") is None else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert claims.claim("childs") is not None


def test_what_cannot_be_claimed_is_told_with_the_folder(tmp_path):
    (tmp_path / "claims").touch()
    with pytest.raises(StoreError, match="cannot be claimed"):
        FileClaims(tmp_path / "claims").claim("k")
