"""A folder of images is asked about as an import reads it."""

from pathlib import Path

import pytest

from raypipe.app.asked_rows import beside_answers, read_asked
from raypipe.errors import UsageError

PNG = b"\x89PNG\r\n\x1a\n"


def test_an_image_is_a_row_of_its_path_its_bytes_and_its_folder(tmp_path: Path) -> None:
    for path in ("a.png", "left/b.png", "left/c.PNG", "new/right/d.png"):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(PNG + path.encode())
    (tmp_path / "left" / "note.txt").write_text("no image by its name")
    table = read_asked(tmp_path)
    assert table.column_names == ["path", "image", "label"]
    told = {row["path"]: (row["image"], row["label"]) for row in table.to_pylist()}
    assert told == {
        "a.png": (PNG + b"a.png", None),
        "left/b.png": (PNG + b"left/b.png", "left"),
        "left/c.PNG": (PNG + b"left/c.PNG", "left"),
        "new/right/d.png": (PNG + b"new/right/d.png", "right"),
    }
    assert beside_answers(table, tmp_path).column_names == ["path", "label"]


def test_a_file_stays_whole_beside_its_answers(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("image\n7\n")
    table = read_asked(tmp_path / "rows.csv")
    assert beside_answers(table, tmp_path / "rows.csv") == table


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.png", b"GIF, perhaps", "a.png is no image, though it is named as one"),
        ("a.csv", b"x\n1\n", "is a folder of files with rows"),
        ("a.txt", b"x", "holds no Parquet, CSV, JSON lines or Arrow file, and no image"),
    ],
)
def test_a_folder_that_cannot_be_asked_about_is_told(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_asked(tmp_path)
