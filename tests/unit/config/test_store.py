"""The ledger's place is a URL without a secret."""

import pytest

from raypipe.config.load import load
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
