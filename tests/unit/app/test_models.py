"""A file of rows is read, or it is said what is wrong with it."""

from pathlib import Path

import pytest

from raypipe.app.models import read_rows
from raypipe.errors import UsageError


def test_a_column_that_is_there_twice_is_named(tmp_path: Path) -> None:
    file = tmp_path / "told.csv"
    file.write_text("request_id,label,label\na,true,false\n")
    with pytest.raises(UsageError, match=r"'told\.csv' has the column 'label' 2 times"):
        read_rows(file)
