"""A file of rows is read and written, or it is said what is wrong with it."""

from pathlib import Path

import pyarrow as pa
import pytest

from raypipe.app.models import read_rows, read_texts, writer_of
from raypipe.errors import UsageError


def test_a_column_that_is_there_twice_is_named(tmp_path: Path) -> None:
    file = tmp_path / "told.csv"
    file.write_text("request_id,label,label\na,true,false\n")
    with pytest.raises(UsageError, match=r"'told\.csv' has the column 'label' 2 times"):
        read_rows(file)


def test_csv_is_read_as_an_import_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "asked.csv"
    file.write_text('zip,coupon,price\n01067,,1.5\n,VIP,\n80331,"a\nb",2\n')
    table = read_texts(read_rows(file), file, ["zip", "coupon", "gone"])
    assert table.to_pydict() == {
        "zip": ["01067", None, "80331"],
        "coupon": [None, "VIP", "a\nb"],
        "price": [1.5, None, 2.0],
    }


def test_a_folder_is_no_file_of_rows(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        read_rows(tmp_path)


@pytest.mark.parametrize("values", [[["food"]], [b"an image"]])
def test_what_csv_cannot_hold_is_named(tmp_path: Path, values: list[object]) -> None:
    with pytest.raises(UsageError, match=r"CSV cannot hold the column 'topics'"):
        writer_of(tmp_path / "out.csv")(pa.table({"topics": values}))
    assert not (tmp_path / "out.csv").exists()
