"""What a run was given is kept by its names, whatever was typed."""

import pytest

from raypipe.store.given import given_of


@pytest.mark.parametrize("typed", ["[" * 100_000, "{", "9" * 5_000, "NaN", '"\\ud800"'])
def test_what_was_typed_is_kept_though_it_is_no_json_that_python_reads(typed):
    given = given_of({"parameters": {"parameters": {"typed": typed}}})
    assert [name for name, _ in given.values] == ["typed"]
