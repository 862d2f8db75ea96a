"""The digest of a file or folder is of its content, and stays what it is."""

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from raypipe.errors import StoreError
from raypipe.store.content import add_file, copy_path, digest_path, replace_file


def make(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_the_digest_of_a_file_and_of_a_folder_is_the_same_in_every_version(tmp_path):
    folder = make(tmp_path / "f", {"a.txt": "a", "sub/b.txt": "b"})
    (folder / "none").mkdir()
    assert digest_path(folder / "a.txt") == (
        "bdbee9497d91c46e98bb0cc08ab6317a8d8bdb3c9e2d71b8a1ffc7c3c75658ed"
    )
    assert digest_path(folder) == (
        "6a2df75c92b07eb3e9821e7465e248c4d7bdfa442f721033cf72a18ac1116801"
    )


FILES = {"a.txt": "a", "sub/b.txt": "b"}


@pytest.mark.parametrize(
    "other",
    [
        {"a.txt": "a", "sub/b.txt": "B"},
        {"a.txt": "a", "sub/c.txt": "b"},
        {"a.txt": "a", "b.txt": "b"},
        {"a.txt": "b", "sub/b.txt": "a"},
        {"a.txt": "a"},
        {**FILES, "sub/c.txt": ""},
    ],
)
def test_every_name_and_content_in_a_folder_counts(tmp_path, other):
    assert digest_path(make(tmp_path / "one", FILES)) != digest_path(make(tmp_path / "two", other))


def test_an_empty_folder_inside_counts(tmp_path):
    folder = make(tmp_path / "f", FILES)
    before = digest_path(folder)
    (folder / "sub" / "none").mkdir()
    assert digest_path(folder) != before


def test_a_file_is_not_the_folder_that_holds_it(tmp_path):
    folder = make(tmp_path / "f", {"a": "a"})
    assert digest_path(folder) != digest_path(folder / "a")


def test_a_copy_has_the_digest_of_what_was_copied(tmp_path):
    folder = make(tmp_path / "f", {**FILES, "name\nwith a line": "", "ünï": "x"})
    copied = copy_path(folder, tmp_path / "copy")
    assert copied == digest_path(folder) == digest_path(tmp_path / "copy")


def test_a_name_that_is_no_text_is_a_name(tmp_path):
    folder = make(tmp_path / "f", {})
    folder.mkdir()
    (folder / "\udcff").write_text("x")
    assert copy_path(folder, tmp_path / "copy") == digest_path(folder)


def test_a_link_to_a_file_is_its_content(tmp_path):
    make(tmp_path, {"a": "a"})
    (tmp_path / "link").symlink_to("a")
    assert digest_path(tmp_path / "link") == digest_path(tmp_path / "a")


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"none\.txt cannot be read") as failed:
        digest_path(tmp_path / "none.txt")
    assert failed.value.hint


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    file = tmp_path / "ledger.json"
    replace_file(file, "one")
    replace_file(file, "two")

    def fails(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(OSError, match="no space left"):
        replace_file(file, "three")
    assert file.read_text() == "two"
    assert [one.name for one in tmp_path.iterdir()] == ["ledger.json"]


def test_of_several_makers_of_a_file_the_first_wins(tmp_path):
    names = [f"{n}" * 9_999 for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: add_file(tmp_path / "a", text.encode()), names))
    assert (tmp_path / "a").read_text() in names
    add_file(tmp_path / "a", b"late")
    assert (tmp_path / "a").read_text() in names
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_a_file_is_made_where_the_file_system_has_no_links(tmp_path, monkeypatch):
    def refuse(self, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    for _ in range(2):
        add_file(tmp_path / "a", b"first")
        assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a", b"first")]
