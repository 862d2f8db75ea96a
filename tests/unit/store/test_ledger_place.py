"""A home is bound to one ledger, named by settings or the environment; passwords are not kept."""

from pathlib import Path

import pytest

from raypipe.errors import StoreError, UsageError
from raypipe.store.ledger_place import VARIABLE, LedgerPlace, bound, ledger_of
from raypipe.store.paths import HomePaths
from raypipe.store.postgres_url import PostgresUrl

HERE = LedgerPlace(url="postgresql://ann@db.example/flows", password="LEDGER_PASSWORD")
THERE = LedgerPlace(url="postgresql://ann@other.example/flows")


@pytest.fixture
def paths(tmp_path) -> HomePaths:
    return HomePaths(tmp_path)


@pytest.fixture(autouse=True)
def _secret(monkeypatch) -> None:
    monkeypatch.setenv("LEDGER_PASSWORD", "s3cret")


def found(paths: HomePaths, place: LedgerPlace | None = None, *, write: bool = True) -> PostgresUrl:
    where = ledger_of(paths, place, write=write)
    assert isinstance(where, PostgresUrl)
    return where


def test_a_home_has_a_file_unless_somebody_says_otherwise(paths):
    assert ledger_of(paths, None, write=True) == paths.ledger
    assert not list(paths.home.iterdir())


def test_settings_name_a_ledger_and_the_variable_with_its_password(paths):
    assert found(paths, HERE) == PostgresUrl(shown=HERE.url, secrets={"password": "s3cret"})


def test_a_home_keeps_the_ledger_that_it_was_first_written_with(paths):
    found(paths, HERE)
    assert found(paths) == found(paths, HERE)
    assert bound(paths) == HERE
    assert "s3cret" not in paths.bound_ledger.read_text()


def test_a_look_binds_a_home_to_nothing(paths):
    found(paths, HERE, write=False)
    assert bound(paths) is None


def test_the_environment_names_a_ledger_for_scripts_and_its_password_is_not_kept(
    paths, monkeypatch
):
    monkeypatch.setenv(VARIABLE, "postgresql://ann:pw@db.example/flows")
    assert found(paths) == PostgresUrl(
        shown="postgresql://ann@db.example/flows", secrets={"password": "pw"}
    )
    assert "pw" not in paths.bound_ledger.read_text()
    monkeypatch.delenv(VARIABLE)
    assert found(paths).secrets == {}


@pytest.mark.parametrize("how", ["settings", "environment"])
def test_another_ledger_than_that_of_the_home_is_refused(paths, monkeypatch, how):
    found(paths, HERE)
    if how == "environment":
        monkeypatch.setenv(VARIABLE, "postgresql://ann:hidden@other.example/flows")
    with pytest.raises(UsageError, match=r"has its ledger in .*db\.example.*, not in") as refused:
        ledger_of(paths, THERE if how == "settings" else None, write=True)
    assert "hidden" not in str(refused.value)


def test_a_home_with_a_file_is_not_bound_to_another_ledger(paths):
    paths.ledger.touch()
    with pytest.raises(UsageError, match=r"has its ledger in .*ledger\.db, not in"):
        ledger_of(paths, HERE, write=True)


def test_how_the_same_ledger_is_reached_may_change(paths):
    found(paths, HERE)
    now = LedgerPlace(url="postgresql://bob@db.example:5432/flows?sslmode=require")
    assert found(paths, now).shown == now.url
    assert bound(paths) == now


def test_a_password_that_is_not_there_is_an_error_that_names_its_variable(paths, monkeypatch):
    monkeypatch.delenv("LEDGER_PASSWORD")
    with pytest.raises(StoreError, match="LEDGER_PASSWORD is not set") as missing:
        found(paths, HERE)
    assert missing.value.exit_code == 7


@pytest.mark.parametrize("url", ["mysql://ann@host/db", "ledger.db", "postgres:/host"])
def test_a_variable_that_holds_no_url_of_postgres_is_refused(paths, monkeypatch, url):
    monkeypatch.setenv(VARIABLE, url)
    with pytest.raises(UsageError, match="no URL of Postgres"):
        ledger_of(paths, None, write=True)


def test_what_says_where_the_ledger_is_must_be_readable(paths: HomePaths, tmp_path: Path):
    paths.bound_ledger.write_text("{")
    with pytest.raises(StoreError, match="cannot be read") as failed:
        ledger_of(paths, None, write=True)
    assert "store.ledger" in str(failed.value.hint)
