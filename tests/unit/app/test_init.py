"""`raypipe init`: what is in a file decides what its settings say, and they are right."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.app.init import init
from raypipe.config.cycle import CycleConfig
from raypipe.config.load import load
from raypipe.errors import NotFound, RaypipeError, UsageError

ROWS = 300
_random = np.random.default_rng(0)


def columns(**more: Any) -> dict[str, Any]:
    """Two numbers, and what a test adds."""
    return {
        "size": _random.normal(size=ROWS),
        "weight": _random.normal(50, 9, size=ROWS),
        **more,
    }


Written = Callable[..., tuple[CycleConfig, str]]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Write rows to a file, and settings for it; return them as read back, and as text."""

    def write(rows: dict[str, Any], target: str = "label", **options: Any) -> Any:
        pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
        out = tmp_path / "rows.yaml"
        init([str(tmp_path / "rows.parquet")], target, out=out, force=True, **options)
        return load(out), out.read_text()

    return write


def group_of(config: CycleConfig, column: str) -> Any:
    """Return the group that reads a column; None if it is left out."""
    groups = (one for one in config.preprocessing.groups if column in one.columns)
    return next(groups, None)


@pytest.mark.parametrize(
    ("label", "task"),
    [
        ([n % 2 == 0 for n in range(ROWS)], "binary"),
        ([n % 2 for n in range(ROWS)], "binary"),
        (["yes" if n % 3 else "no" for n in range(ROWS)], "binary"),
        (["abc"[n % 3] for n in range(ROWS)], "multiclass"),
        ([n % 5 for n in range(ROWS)], "multiclass"),
        ([n * 7 % 100 for n in range(ROWS)], "regression"),
        ([n * 0.5 for n in range(ROWS)], "regression"),
        ([["a"] if n % 2 else ["a", "b"] for n in range(ROWS)], "multilabel"),
    ],
)
def test_the_task_follows_from_the_label(written: Written, label: list[Any], task: str) -> None:
    config, _ = written(columns(label=label))
    assert config.training.task == task
    assert group_of(config, "label") is None


def test_a_number_is_learned_scaled_and_a_skewed_one_by_its_logarithm(written: Written) -> None:
    even, _ = written(columns(label=_random.normal(150, 20, ROWS)))
    skewed, _ = written(columns(label=_random.lognormal(6, 2, ROWS)))
    assert (even.preprocessing.label.scale, even.preprocessing.label.log) == ("standard", False)
    assert (skewed.preprocessing.label.scale, skewed.preprocessing.label.log) == ("standard", True)


def test_columns_that_name_rows_or_say_nothing_are_no_features(written: Written) -> None:
    config, text = written(
        columns(
            label=[n % 2 for n in range(ROWS)],
            number=range(7, 7 + ROWS),
            same=["x"] * ROWS,
            nothing=pa.nulls(ROWS, pa.float64()),
            surname=[f"name {n // 2}" for n in range(ROWS)],
        )
    )
    assert config.data.key == ("number",)
    assert all(group_of(config, name) is None for name in ("number", "same", "nothing", "surname"))
    assert "same: is the same in all rows" in text
    assert "surname: differs in nearly all rows" in text


def test_features_get_the_group_that_suits_them(written: Written) -> None:
    config, _ = written(
        columns(
            label=[n % 2 for n in range(ROWS)],
            hour=[n % 24 for n in range(ROWS)],
            price=_random.lognormal(6, 2, ROWS),
            colour=[["red", "green", "blue"][n % 3] for n in range(ROWS)],
            city=[f"city {n * n % 83}" for n in range(ROWS)],
            tags=[["a", "b"][: n % 3] for n in range(ROWS)],
            story=[f"it was {n} times said, and it was heard by many of them" for n in range(ROWS)],
        )
    )
    kinds = {
        name: group_of(config, name).kind
        for name in ("size", "hour", "price", "colour", "tags", "story")
    }
    assert kinds == {
        "size": "numeric", "hour": "cyclic", "price": "numeric", "colour": "one_hot",
        "tags": "multi_hot", "story": "text",
    }  # fmt: skip
    assert group_of(config, "price").log
    assert not group_of(config, "weight").log
    assert config.training.model.kind == "text_classifier"
    assert group_of(config, "city").kind == "one_hot"  # that model takes whole numbers for tokens


def test_many_categories_of_a_table_are_embedded(written: Written) -> None:
    config, _ = written(
        columns(label=[n % 2 for n in range(ROWS)], city=[f"c{n * n % 83}" for n in range(ROWS)])
    )
    assert group_of(config, "city").kind == "embedding"


def test_moments_divide_the_rows_by_time(written: Written) -> None:
    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(ROWS)]
    config, _ = written(columns(label=[n % 2 for n in range(ROWS)], sold=days))
    assert (config.data.time, config.data.split.by) == ("sold", "time")
    assert config.data.split.validation_from == days[210].isoformat()  # type: ignore[union-attr]
    assert config.data.split.analysis_from == days[255].isoformat()  # type: ignore[union-attr]
    assert group_of(config, "sold").parts == ("weekday",)  # of a year, each month was there once


def test_rows_of_one_customer_go_to_one_split(written: Written) -> None:
    config, _ = written(
        columns(label=[n % 2 for n in range(ROWS)], customer_id=[n // 3 for n in range(ROWS)])
    )
    assert config.data.split.by == "group"
    assert config.data.split.columns == config.data.groups == ("customer_id",)
    assert group_of(config, "customer_id") is None


def test_a_column_that_tells_the_label_is_left_out_and_said(written: Written) -> None:
    label = [n % 2 for n in range(ROWS)]
    config, text = written(columns(label=label, status=["open" if n else "done" for n in label]))
    assert group_of(config, "status") is None
    assert config.validation.columns == {"status": "warn"}
    assert "status: LEAK? the column alone tells 100 % of label" in text


def test_copies_share_a_split_though_their_keys_differ(written: Written) -> None:
    twice = [float(n // 2) for n in range(ROWS)]
    rows = {"id": range(ROWS), "size": twice, "label": [n // 2 % 2 for n in range(ROWS)]}
    config, _ = written(rows)
    assert config.data.key == ("id",)
    assert config.data.split.columns == ("size",)  # type: ignore[union-attr]


def test_a_rare_class_is_measured_by_what_heeds_it(written: Written) -> None:
    config, _ = written(columns(label=[n % 30 == 0 for n in range(ROWS)]))
    assert config.training.metrics == ("average_precision",)


@pytest.mark.parametrize("name", ["a: b", "no", "1", "#x", "é", "two\nlines", '"q', "- x", "[y"])
def test_any_name_of_a_column_is_read_back(written: Written, name: str) -> None:
    config, _ = written(columns(label=[n % 2 for n in range(ROWS)], **{name: range(1, ROWS + 1)}))
    used = {column for one in config.preprocessing.groups for column in one.columns}
    assert name in used | set(config.data.key)


def test_a_file_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("a,b\n" + "".join(f"{n % 7},{n % 2}\n" for n in range(60)))
    out = tmp_path / "mine.yaml"
    out.write_text("mine")

    with pytest.raises(UsageError, match="is there already"):
        init([str(data)], "b", out=out)
    assert out.read_text() == "mine"

    done = init([str(data)], "b", out=out, force=True)
    assert load(out).name == "rows"
    assert done["next"] == [
        f"raypipe data import {data} --to local://rows/main --config {out}",
        f"raypipe run {out}",
    ]


def test_how_a_file_is_read_goes_into_the_settings(tmp_path: Path) -> None:
    data = tmp_path / "Rows of 2024.csv"
    data.write_text("zip;b\n" + "".join(f"0{n % 7};{n % 2}\n" for n in range(60)))
    out = tmp_path / "rows.yaml"
    given = {"delimiter": ";", "types": {"zip": "string"}}
    init([str(data)], "b", out=out, given=given)

    config = load(out)
    assert (config.name, config.imports.delimiter) == ("rows-of-2024", ";")
    assert config.imports.types == {"zip": "string"}
    assert group_of(config, "zip").kind == "one_hot"


def picture(shade: int) -> bytes:
    """Return a PNG of 12 × 8 pixels."""
    import io

    from PIL import Image

    held = io.BytesIO()
    Image.new("L", (12, 8), shade).save(held, "png")
    return held.getvalue()


def test_a_folder_of_images_needs_no_target(tmp_path: Path) -> None:
    for number in range(40):
        place = tmp_path / "shots" / ("dark" if number % 2 else "light")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.png").write_bytes(picture(number))
    out = tmp_path / "shots.yaml"
    init([str(tmp_path / "shots")], out=out)

    config = load(out)
    assert (config.data.label, config.data.key) == ("label", ("path",))
    (group,) = config.preprocessing.groups
    assert (group.kind, group.size, group.channels) == ("image", (8, 12), 1)  # type: ignore[union-attr]
    assert config.training.model.kind == "image_classifier"


@pytest.mark.parametrize(
    ("rows", "target", "kind", "said"),
    [
        ("a,b\n1,2\n3,4\n", "c", UsageError, "there is no column 'c'"),
        ("a,b\n1,2\n3,2\n", "b", UsageError, "is '2' in all 2 rows"),
        ("a,b\n1,2\n3,\n5,1\n", "b", UsageError, "is missing in 1 of 3 rows"),
        ("a,b\n1,x\n3,y\n5,z\n", "b", UsageError, "too many classes"),
        ("a,b\n1,2024-01-01\n3,2024-01-02\n", "b", UsageError, "is date32"),
        ("a,b\n1,2\n1,3\n", "b", UsageError, "no column can be learned from"),
        ("a,b\n", "b", UsageError, "no rows"),
        ("a,b\n1,2,3\n", "b", UsageError, "rows.csv"),
        ("", "b", UsageError, "is empty"),
        (None, "b", NotFound, "There is no file"),
    ],
)
def test_what_cannot_be_predicted_is_named_and_nothing_is_written(
    tmp_path: Path, rows: str | None, target: str, kind: type[RaypipeError], said: str
) -> None:
    file, out = tmp_path / "rows.csv", tmp_path / "rows.yaml"
    if rows is not None:
        file.write_text(rows)
    with pytest.raises(kind, match=said) as caught:
        init([str(file)], target, out=out)
    assert caught.value.hint
    assert not out.exists()


def test_lists_of_numbers_are_no_target(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"a": n, "b": [n, 1]}) + "\n" for n in range(20)))
    with pytest.raises(UsageError, match="those of text can be predicted"):
        init([str(file)], "b", out=tmp_path / "rows.yaml")


def test_a_key_of_several_columns_is_written_and_divides_rows_whole(written: Written) -> None:
    rows = columns(
        shop=[n % 7 for n in range(ROWS)],
        receipt=[n // 7 for n in range(ROWS)],
        label=["ab"[n % 2] for n in range(ROWS)],
    )
    config, _ = written(rows, key=("receipt", "shop", "receipt"))
    assert config.data.key == ("receipt", "shop")
    assert config.data.split.columns == ("receipt", "shop")
    assert group_of(config, "shop") is group_of(config, "receipt") is None


def test_a_key_that_is_the_target_is_refused(written: Written) -> None:
    with pytest.raises(UsageError, match="--key names 'label'"):
        written(columns(label=[n % 2 for n in range(ROWS)]), key=("label",))


@pytest.mark.parametrize("blob", [b"", b"no image"])
def test_bytes_that_are_no_images_are_left_out(written: Written, blob: bytes) -> None:
    rows = columns(blob=[blob] + [None, b"x"] * (ROWS // 2 - 1) + [b"y"], label=["a", "b"] * 150)
    config, text = written(rows)
    assert group_of(config, "blob") is None
    assert "blob: is bytes, most of which are no image" in text
