"""Where a shard lies is a text that any process opens; what is wrong with it is told."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.errors import StoreError
from raypipe.store.locations import footer_of


def test_a_footer_tells_rows_and_columns(tmp_path: Path):
    table = pa.table({"n": [1, 2], "t": ["a", None]})
    pq.write_table(table, tmp_path / "a.parquet")
    footer = footer_of(str(tmp_path / "a.parquet"))
    assert footer.num_rows == 2
    assert footer.schema.to_arrow_schema().equals(table.schema)


@pytest.mark.parametrize("content", [b"", b"PAR1 garbage PAR1", b"a,b\n1,2\n", None])
def test_what_is_no_whole_parquet_file_is_told_with_its_name(tmp_path: Path, content):
    """Others may put anything into a repository, and name it .parquet."""
    file = tmp_path / "a.parquet"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StoreError, match=r"a\.parquet cannot be read: its footer") as told:
        footer_of(str(file))
    assert "revert" in str(told.value.hint)
