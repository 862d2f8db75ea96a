"""New data is told by shards and rows, as far as that can be had."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.app.shards import MOST, rows_of, told
from raypipe.values.dataset import Dataset, Shard, shard_changes


def shard(path: str, content: str = "a") -> Shard:
    return Shard(path=path, object_id=f"blake2b:{content}", size=1, location=f"/nowhere/{path}")


def dataset(*shards: Shard) -> Dataset:
    return Dataset(shards=shards, uri="local://r/main", commit="c")


BEFORE = dataset(shard("a"), shard("b"), shard("c"))


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (dataset(*BEFORE.shards, shard("d")), "1 of 4 shards is new (+10 rows)"),
        (dataset(shard("a", "z"), shard("b"), shard("c")), "1 of 3 shards changed (+0 rows)"),
        (dataset(shard("a"), shard("b")), "1 shard is gone (-10 rows)"),
        (
            dataset(shard("a"), shard("b", "z"), shard("d"), shard("e")),
            "2 of 4 shards are new, 1 changed, 1 gone (+10 rows)",
        ),
        (BEFORE, None),
    ],
)
def test_shards_are_known_by_path_and_content(now, said):
    assert told(shard_changes(BEFORE, now), lambda shards: 10 * len(shards)) == said


def test_rows_that_are_not_to_be_had_are_not_told():
    changes = shard_changes(BEFORE, dataset(*BEFORE.shards, shard("d")))
    assert told(changes, rows_of) == "1 of 4 shards is new"


def test_rows_are_counted_by_footers_of_a_few_shards_only(tmp_path):
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": [1, 2, 3]}), file)
    one = Shard(path="a", object_id="blake2b:a", size=1, location=str(file))
    assert rows_of([one, one]) == 6
    assert rows_of([]) == 0
    assert rows_of([one] * (MOST + 1)) is None
