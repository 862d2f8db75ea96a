"""An input becomes shards: what its values are is told by all rows, a bad one by its line."""

import gzip
import json
import os
import re
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.config.importing import ImportConfig
from raypipe.errors import UsageError
from raypipe.stages.data.converting import convert
from raypipe.stages.data.inputs import find_inputs
from raypipe.values.imported import Converted

NOTHING = pa.schema([])
TABLE = pa.table({"n": [1, 2, None], "t": ["a", None, "c"], "x": [0.5, 1.5, 2.5]})


def converted(file: Path, known: pa.Schema = NOTHING, **options: object) -> Converted:
    how = ImportConfig(**options)
    (source,) = find_inputs([file], how)
    return convert(source, how, known, file.parent / f"out-{file.name}")


def rows(done: Converted) -> pa.Table:
    return pa.concat_tables(pq.read_table(s.file, partitioning=None) for s in done.shards)


def of_text(folder: Path, name: str, text: str, **options: object) -> Converted:
    (folder / name).write_text(text)
    return converted(folder / name, **options)


def write_csv(file: Path) -> None:
    pa.csv.write_csv(TABLE, file)


def write_packed_csv(file: Path) -> None:
    aside = file.with_suffix(".aside")
    pa.csv.write_csv(TABLE, aside)
    file.write_bytes(gzip.compress(aside.read_bytes()))


def write_jsonl(file: Path) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in TABLE.to_pylist()))


def write_stream(file: Path) -> None:
    with pa.ipc.new_stream(file, TABLE.schema) as writer:
        writer.write_table(TABLE)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.csv", write_csv),
        ("a.tsv", lambda f: pa.csv.write_csv(TABLE, f, pa.csv.WriteOptions(delimiter="\t"))),
        ("a.csv.gz", write_packed_csv),
        ("a.jsonl", write_jsonl),
        ("a.ndjson", write_jsonl),
        ("a.parquet", lambda f: pq.write_table(TABLE, f)),
        ("a.arrow", write_stream),
        ("a.feather", lambda f: pyarrow.feather.write_feather(TABLE, f)),
        ("a.ipc", lambda f: pyarrow.feather.write_feather(TABLE, f, compression="uncompressed")),
    ],
)
def test_each_format_gives_the_same_shard(tmp_path, name, write):
    write(tmp_path / name)
    done = converted(tmp_path / name)

    assert [shard.name for shard in done.shards] == ["part-a.parquet"]
    assert rows(done).equals(TABLE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("early", "late", "kind"),
    [
        ("1", "2.5", pa.float64()),
        ("1", "x", pa.string()),
        ("", "7", pa.int64()),
        ("true", "1", pa.bool_()),
        ("2020-01-01", "2020-01-01 10:00:00", pa.timestamp("ms")),
        ("2020-01-01 10:00:00", "2020-01-01 10:00:00.5", pa.timestamp("ns")),
        ("2020-01-01", "soon", pa.string()),
    ],
)
def test_a_type_is_told_by_all_rows_not_the_first(tmp_path, early, late, kind):
    many = 200_000  # more than Arrow looks at
    text = "a,b\n" + f"{early},1\n" * many + f"{late},1\n"
    done = of_text(tmp_path, "late.csv", text)

    assert done.schema.schema.field("a").type == kind
    assert done.rows == many + 1
    last = rows(done)["a"][-1].as_py()
    assert str(last).startswith(late[:4]) or last is True


FAULTS = [
    ("csv", "a,b\n1,2\n\n3\n", 4, "1 values, where there are 2 columns"),
    ("csv", 'a,b\n"1\n1",2\n3,4,5\n', 4, "3 values, where there are 2 columns"),
    ("jsonl", '{"a": 1}\nnope\n{"a": 2}\n', 2, "no JSON"),
    ("jsonl", '{"a": 1}\n{"a": "x"}\n{"a": 2}\n', 2, "column 'a': text, where most are a number"),
    ("jsonl", '{"a": 1}\n[1]\n', 2, "no JSON object"),
    ("jsonl", '{"a": 1}\nnull\n{"a": 2}\n', 2, "no JSON object"),
    ("jsonl", '\n null\n{"a": 1}\n', 2, "no JSON object"),  # Arrow crashes with the process
    ("jsonl", '{"a": {"x": 1}}\n{"a": {"x": "s"}}\n{"a": {"x": 2}}\n', 2,
     "column 'a': text at x, where most are a number"),
    ("jsonl", '{"a": [1]}\n{"a": ["s"]}\n{"a": [2]}\n', 2, "column 'a': text at "),
    ("jsonl", '{"a": "x"}\n{"a": "\\ud800"}\n', 2, "half of a surrogate pair"),
    ("jsonl", '{"a": 1}\n{"a": ' + "[" * 99_999 + "]" * 99_999 + "}\n", 2, "it is nested too"),
    ("jsonl", '{"a": [1]}\n{"a": ' + "[" * 99 + "]" * 99 + "}\n", 2, "column 'a': it is nested"),
    ("jsonl", '{"a": 1}\n{"a": 123456789012345678901}\n', 2, "no JSON: 123456789012345678901 has"),
    ("jsonl", 'null\n{"a": 1}\n', 1, "no JSON object"),  # the first ends a process of Arrow's
    ("jsonl", '{"a": 1}\n null\n', 2, "no JSON object"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "line", "said"), FAULTS)
def test_a_bad_row_is_named_by_file_and_line(tmp_path, kind, text, line, said):
    with pytest.raises(UsageError, match=rf"bad\.{kind}:{line}: {said}") as refused:
        of_text(tmp_path, f"bad.{kind}", text)
    assert "--rejects" in str(refused.value.hint)


@pytest.mark.parametrize(("kind", "text", "line", "said"), FAULTS)
def test_or_left_out_and_listed_where_settings_say_so(tmp_path, kind, text, line, said):
    done = of_text(tmp_path, f"bad.{kind}", text, rejects="r", rejected_share=0.5)

    assert done.rejected == 1
    assert done.examples[0].line == line
    assert re.match(said, done.examples[0].reason)
    assert done.rejects is not None
    (listed,) = map(json.loads, done.rejects.read_text().splitlines())
    assert listed["line"] == line


def test_numbers_that_do_not_go_together_are_named_by_line(tmp_path):
    """A float cannot hold the one, and an integer cannot hold the other."""
    with pytest.raises(UsageError, match=r"x\.jsonl:2: column 'a': Integer value 9007199254740993"):
        of_text(tmp_path, "x.jsonl", '{"a": 1.5}\n{"a": 9007199254740993}\n')


def test_what_parquet_cannot_keep_is_told_of(tmp_path):
    with pytest.raises(UsageError, match=r"x\.jsonl: column 'a' holds values that Parquet cannot"):
        of_text(tmp_path, "x.jsonl", '{"a": {}}\n{"a": {}}\n')
    either = pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2])] * 2)
    table = pa.table({"n": [1, 2], "u": either})
    with pa.ipc.new_file(tmp_path / "x.arrow", table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(UsageError, match=r"x\.arrow: column 'u' holds values"):
        converted(tmp_path / "x.arrow")


@pytest.mark.slow
@pytest.mark.parametrize("first", ["123456789012345678901", "18446744073709551615"])
def test_long_ids_keep_their_last_digit(tmp_path, first):
    """A float keeps sixteen digits or so: two ids would be one, and their rows duplicates."""
    ids = [first, first[:-1] + "2"]
    done = of_text(tmp_path, "x.csv", "id,n\n" + "".join(f"{one},1\n" for one in ids))
    assert rows(done).to_pydict() == {"id": ids, "n": [1, 1]}

    more = "1\n" * 300_000 + "\n".join(ids) + "\n"  # more than Arrow looks at
    done = of_text(tmp_path, "late.csv", f"id\n{more}")
    assert rows(done)["id"].to_pylist()[-2:] == ids


def test_a_float_that_is_written_in_full_is_a_float(tmp_path):
    texts = ["0.5", f"{1e20:.0f}", f"{2.0**90:.0f}", "1e300"]
    assert rows(of_text(tmp_path, "x.csv", "\n".join(["a", *texts])))["a"].type == pa.float64()
    done = of_text(tmp_path, "x.csv", "a\n123456789012345678901\n", types={"a": "float64"})
    assert rows(done)["a"].to_pylist() == [123456789012345678901.0]  # as a person said


def test_a_quote_that_never_ends_does_not_swallow_the_rest_of_the_file(tmp_path):
    with pytest.raises(UsageError, match=r"x\.csv:3 cannot be read: unexpected end of data"):
        of_text(tmp_path, "x.csv", 'a,b\n1,x\n2,"y\n3,z\n4,w\n')
    assert rows(of_text(tmp_path, "y.csv", 'a,b\n1,5" pipe\n'))["b"].to_pylist() == ['5" pipe']


def test_rows_without_columns_are_none(tmp_path):
    with pytest.raises(UsageError, match=r"x\.jsonl has no columns"):
        of_text(tmp_path, "x.jsonl", "{}\n{}\n")


@pytest.mark.parametrize("name", ["x.jsonl", "x.parquet", "x.arrow"])
def test_text_that_is_not_utf_8_does_not_come_in(tmp_path, name):
    """What came in would stop each later profile of the dataset."""
    text = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xe9"))
    table = pa.table({"a": text})
    match name:
        case "x.jsonl":
            (tmp_path / name).write_bytes(b'{"a": "\xe9"}\n')
        case "x.parquet":
            pq.write_table(table, tmp_path / name)
        case _:
            pyarrow.feather.write_feather(table, tmp_path / name)
    with pytest.raises(UsageError, match=f"{name} (is not written as utf-8|cannot be read:.*UTF8)"):
        converted(tmp_path / name)


def test_what_is_nested_too_deeply_is_named(tmp_path):
    line = '{"a": ' + "[" * 500 + "1" + "]" * 500 + "}\n"
    with pytest.raises(UsageError, match=r"x\.jsonl:1: column 'a': it is nested more than 50"):
        of_text(tmp_path, "x.jsonl", line)
    kind = pa.int64()
    for _ in range(60):
        kind = pa.struct([("x", kind)])
    pq.write_table(pa.table({"a": pa.array([None], kind)}), tmp_path / "x.parquet")
    with pytest.raises(UsageError, match=r"x\.parquet: column 'a' is nested more than 50 levels"):
        converted(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    "kind", [pa.date32(), pa.date64(), *(pa.timestamp(unit) for unit in ("s", "ms", "us"))]
)
def test_a_moment_of_no_calendar_is_a_bad_row(tmp_path, kind):
    """What came in would stop each later profile of the dataset."""
    first, last, no_more = (
        np.datetime64(text, "s") for text in ("0001-01-01", "9999-12-31", "10000-01-01")
    )
    moments = pa.array(np.array([first, last, no_more]), pa.timestamp("s")).cast(kind)
    pq.write_table(pa.table({"n": [1, 2, 3], "at": moments}), tmp_path / "x.parquet")
    with pytest.raises(UsageError, match=r"x\.parquet:3: column 'at': its year is none of 1 to"):
        converted(tmp_path / "x.parquet")
    done = converted(tmp_path / "x.parquet", rejects="r", rejected_share=0.5)
    assert rows(done)["n"].to_pylist() == [1, 2]


def test_a_value_that_is_not_of_the_type_that_is_there_is_a_bad_row(tmp_path):
    known = pa.schema([("a", pa.int64())])
    with pytest.raises(UsageError, match=r"x\.csv:3: column 'a': 'two' is no int64, and 1 more"):
        of_text(tmp_path, "x.csv", "a\n1\ntwo\n3\nfour\n", known=known)


@pytest.mark.parametrize(
    ("name", "text", "known"),
    [
        ("x.jsonl", '{"a": {"n": 1}, "b": 1}\n{"a": null, "b": 1}\n', pa.float64()),
        ("x.csv", "a,b\nx,10:00:00\n", pa.int64()),
    ],
)
def test_what_is_left_of_a_batch_may_have_no_value(tmp_path, name, text, known):
    """Arrow casts no struct, though all be null, and a time of day is looked at as text."""
    with pytest.raises(UsageError, match=rf"{name}:\d: column 'a'"):
        of_text(tmp_path, name, text, known=pa.schema([("a", known)]))


def test_two_columns_of_one_name_are_told_of_with_a_key_too(tmp_path):
    with pytest.raises(UsageError, match="for the name of several columns"):
        of_text(tmp_path, "x.csv", "a,a\n1,2\n", key=("a",))


def test_more_bad_rows_than_allowed_stop_it(tmp_path):
    with pytest.raises(UsageError, match=r"1 of 3 rows .* the share of 0\.1 .* on line 3"):
        of_text(tmp_path, "x.csv", "a,b\n1,2\n3\n5,6\n", rejects="r", rejected_share=0.1)


def test_a_row_without_its_key_is_a_bad_row(tmp_path):
    with pytest.raises(UsageError, match=r"x\.csv:3: column 'k' is empty"):
        of_text(tmp_path, "x.csv", "k,v\n1,2\n,3\n", key=("k",))
    with pytest.raises(UsageError, match=r"no column 'kk' to name rows by.*'k'"):
        of_text(tmp_path, "y.csv", "k,v\n1,2\n", key=("kk",))


def test_a_person_s_word_on_a_type_counts(tmp_path):
    done = of_text(tmp_path, "x.csv", "zip,n\n01234,1\n", types={"zip": "string", "n": "float64"})
    assert rows(done).to_pydict() == {"zip": ["01234"], "n": [1.0]}
    for kind in ("zahl", "decimal128(99, 3)"):
        with pytest.raises(UsageError, match=f"cannot be '{re.escape(kind)}'"):
            of_text(tmp_path, "y.csv", "n\n1\n", types={"n": kind})
    with pytest.raises(UsageError, match=r"y\.csv cannot become Parquet|is no list"):
        of_text(tmp_path, "y.csv", "n\n1\n", types={"n": "list<int64>"})


def test_text_in_another_encoding_is_told_and_can_be_said(tmp_path):
    file = tmp_path / "x.csv"
    file.write_bytes("a\nModré\n".encode("latin-1"))
    with pytest.raises(UsageError, match=r"x\.csv is not written as utf-8"):
        converted(file)
    assert rows(converted(file, encoding="latin-1"))["a"].to_pylist() == ["Modré"]


def test_a_json_array_is_told_from_json_lines(tmp_path):
    with pytest.raises(UsageError, match="one JSON array"):
        of_text(tmp_path, "x.json", '[{"a": 1}]')


def test_a_large_file_becomes_shards_of_even_size(tmp_path):
    count = 300_000
    text = "n,t\n" + "".join(f"{n},{'x' * 8}\n" for n in range(count))
    done = of_text(tmp_path, "big.csv", text, shard_mb=1)

    sizes = [shard.rows for shard in done.shards]
    assert len(sizes) == len(text) // 2**20 + 1
    assert max(sizes) - min(sizes) <= len(sizes)
    assert [s.name for s in done.shards][:2] == [
        "part-big~1-of-5.parquet",
        "part-big~2-of-5.parquet",
    ]
    assert rows(done)["n"].to_pylist() == list(range(count))


def test_a_large_parquet_file_too(tmp_path):
    table = pa.table({"n": pa.array(range(600_000)), "m": pa.array(range(600_000))})
    pq.write_table(table, tmp_path / "big.parquet", compression="none", use_dictionary=False)
    done = converted(tmp_path / "big.parquet", shard_mb=1)

    sizes = [shard.rows for shard in done.shards]
    assert len(sizes) == 10
    assert max(sizes) - min(sizes) <= 10
    assert rows(done).equals(table)


def png(file: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    pixels = b"".join(b"\0" + os.urandom(24) for _ in range(8))
    head = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(pixels))
        + chunk(b"IEND", b"")
    )


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for name in ("cat/1", "cat/2", "dog/1"):
        png(tmp_path / "pets" / f"{name}.png")
    return tmp_path / "pets"


def test_images_have_their_folders_for_labels(pets):
    found = rows(converted(pets))

    assert found.select(["path", "label"]).to_pydict() == {
        "path": ["cat/1.png", "cat/2.png", "dog/1.png"],
        "label": ["cat", "cat", "dog"],
    }
    assert found["image"][2].as_py() == (pets / "dog/1.png").read_bytes()


def test_or_those_of_a_table(pets, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("path,age\ncat/1.png,3\ndog/1.png,4\n")
    with pytest.raises(UsageError, match=r"pets:2: the table of labels has no row for cat/2\.png"):
        converted(pets, labels=str(table))
    done = converted(pets, labels=str(table), rejects="r", rejected_share=0.5)
    assert rows(done)["age"].to_pylist() == [3, 4]


def test_an_image_s_label_may_come_late(pets, tmp_path):
    """They are read some at a time, and of the first ones none has a label."""
    for number in range(70):
        png(pets / f"a{number:02}.png")
    labels = rows(converted(pets))["label"].to_pylist()
    assert labels == [None] * 70 + ["cat", "cat", "dog"]

    table = tmp_path / "labels.csv"
    named = sorted(str(file.relative_to(pets)) for file in pets.rglob("*.png"))
    ages = [""] * 70 + ["3", "4", "5"]
    lines = [f"{path},{age}" for path, age in zip(named, ages, strict=True)]
    table.write_text("\n".join(["path,age", *lines]))
    assert rows(converted(pets, labels=str(table)))["age"].to_pylist() == [None] * 70 + [3, 4, 5]


def test_a_table_of_labels_cannot_say_what_an_image_is(pets, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("path,image\ncat/1.png,x\n")
    with pytest.raises(UsageError, match="has a column 'image'"):
        converted(pets, labels=str(table))


def test_a_file_that_is_only_named_as_an_image_is_a_bad_row(pets):
    (pets / "cat/1.png").write_text("hello")
    with pytest.raises(UsageError, match=r"cat/1\.png is no image, though it is named as one"):
        converted(pets)


def test_any_file_system_of_arrow_s_is_read(tmp_path):
    write_csv(tmp_path / "a.csv")
    how = ImportConfig()
    (source,) = find_inputs([f"file://{tmp_path}/a.csv"], how)
    assert rows(convert(source, how, NOTHING, tmp_path / "out")).equals(TABLE)


VALUES = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.dates().map(str),
    st.sampled_from(["", "true", "FALSE", "0", "1", "-", "10:00:00", "NA", " 1", "1 ", "é"]),
    st.text("ab,\"\n'", max_size=4),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=8))
def test_care_reads_what_haste_does(tmp_path_factory, cells):
    """Either way of reading gives the same rows and types, so that neither is a matter of luck."""
    import csv

    from raypipe.stages.data import converting

    file = tmp_path_factory.mktemp("both") / "x.csv"
    with file.open("w", newline="") as out:
        csv.writer(out).writerows([("a", "b"), *cells])
    how = ImportConfig()
    (source,) = find_inputs([file], how)
    slow = converting._with_care(source, how, NOTHING, file.parent / "slow", agreed=False)
    try:
        fast = converting._quickly(source, how, NOTHING, file.parent / "fast", agreed=False)
    except (pa.ArrowInvalid, converting._NotAsExpected):
        return
    assert rows(fast).to_pylist() == rows(slow).to_pylist()
    assert fast.schema.schema == slow.schema.schema


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text("aé\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=8,
)
TEXTS = st.one_of(
    st.lists(JSON.map(json.dumps) | st.sampled_from(["", "{", "nul", " null"])).map("\n".join),
    st.lists(st.sampled_from(["a", "1", ",", ",", "\n", "\n", '"', "\r", "\0", "1e400"])).map(
        "".join
    ),
)


@settings(max_examples=150, deadline=None)
@given(
    TEXTS,
    st.sampled_from(["x.csv", "x.jsonl"]),
    st.sampled_from([{}, {"rejects": "r", "rejected_share": 1.0}, {"key": ("a",)}]),
    st.sampled_from([NOTHING, pa.schema([("a", pa.int64())]), pa.schema([("a", pa.string())])]),
)
def test_whatever_a_file_says_there_are_rows_or_a_sentence(
    tmp_path_factory, text, name, how, known
):
    folder = tmp_path_factory.mktemp("any")
    with suppress(UsageError):
        assert of_text(folder, name, text, known=known, **how).rows > 0
