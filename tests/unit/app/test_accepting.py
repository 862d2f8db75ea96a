"""Changes that a person expects, by name."""

import pytest

from raypipe.app.accepting import accepting
from raypipe.config.cycle import CycleConfig
from raypipe.errors import UsageError

CONFIG = CycleConfig.model_validate(
    {
        "name": "n",
        "data": {
            "dataset": "local://r/main",
            "label": "y",
            "split": {"by": "hash", "columns": "id"},
        },
        "preprocessing": {"groups": [{"kind": "numeric", "columns": ["x"]}]},
    }
)


def test_who_and_why_are_kept_in_the_settings():
    (one,) = accepting(CONFIG, ["drift:x"], by="anna", why="new sensor").validation.accept
    assert (one.what, one.by, one.why) == ("drift:x", "anna", "new sensor")


def test_nothing_named_changes_nothing():
    assert accepting(CONFIG, [], by=None, why=None) is CONFIG


def test_a_reason_is_asked_for_and_a_slip_is_named():
    with pytest.raises(UsageError, match="does not say why"):
        accepting(CONFIG, ["drift:x"], by=None, why=None)
    with pytest.raises(UsageError, match="'Drift x' names no change"):
        accepting(CONFIG, ["Drift x"], by=None, why="w")
