"""The places of ledger and artifacts are named without secrets."""

import pytest
from pydantic import ValidationError

from raypipe.app.assemble import artifacts_named
from raypipe.config.load import load
from raypipe.config.store import StoreConfig
from raypipe.errors import SettingsError

SETTINGS = """
name: flights
data: {dataset: local://flights/main, label: delayed, split: {by: column, column: part}}
preprocessing: {groups: [{kind: numeric, columns: [distance]}]}
store:
  ledger: URL
"""


def test_a_ledger_is_named_by_a_url_and_the_variable_of_its_password(tmp_path):
    text = SETTINGS.replace("URL", "postgresql://ann@db.example:5432/flows?sslmode=require")
    (tmp_path / "a.yaml").write_text(text + "  ledger_password: {env: LEDGER_PASSWORD}\n")
    store = load(tmp_path / "a.yaml").store
    assert store.ledger == "postgresql://ann@db.example:5432/flows?sslmode=require"
    assert store.ledger_password is not None
    assert store.ledger_password.env == "LEDGER_PASSWORD"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:s3cret@host/db",
        "postgresql://ann:s3/cret@host/db",
        "postgresql://ann:s3cret?@host/db",
        "postgresql://ann@host/db?password=s3cret",
        "mysql://ann:s3cret@host/db",
    ],
)
def test_a_url_with_a_secret_is_refused_without_being_shown(tmp_path, url):
    (tmp_path / "a.yaml").write_text(SETTINGS.replace("URL", url))
    with pytest.raises(SettingsError) as refused:
        load(tmp_path / "a.yaml")
    assert "store.ledger" in str(refused.value)
    assert "s3" not in str(refused.value)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("artifacts: s3://AKIA:s3cret@bucket/x", "it holds credentials"),
        ("artifacts: bucket/x", "names no place"),
        ("endpoint_override: http://AKIA:s3cret@host:9000", "it holds credentials"),
    ],
)
def test_a_place_of_artifacts_is_checked_and_holds_no_credentials(setting, said):
    name, _, value = setting.partition(": ")
    with pytest.raises(ValidationError, match=said):
        StoreConfig.model_validate({name: value})


def test_credentials_of_a_bucket_are_named_by_their_variables():
    store = StoreConfig.model_validate(
        {"artifacts": "s3://bucket/x/", "access_key": {"env": "KEY"}, "secret_key": {"env": "WORD"}}
    )
    assert store.artifacts == "s3://bucket/x"
    place = artifacts_named(store)
    assert place is not None
    assert (place.access_key, place.secret_key) == ("KEY", "WORD")
