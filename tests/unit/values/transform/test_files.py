"""A transform in a folder."""

import json

import pytest

from raypipe.errors import StoreError
from raypipe.values.codec import TreeCodec
from raypipe.values.transform import Transform
from raypipe.values.transform.groups import Embedding


def test_a_transform_reads_back_equal(everything, tmp_path):
    everything.save(tmp_path / "t")
    again = Transform.load(tmp_path / "t")
    assert again == everything
    codec = TreeCodec(lambda path: "")
    assert codec.encode(again).digest == codec.encode(everything).digest


def test_a_transform_of_before_labels_were_scaled_is_read(everything, tmp_path):
    """So that a bundle outlives the raypipe that wrote it."""
    everything.save(tmp_path)
    file = tmp_path / "transform.json"
    body = json.loads(file.read_text())
    for name in ("log", "center", "scale"):
        del body["signature"]["label"][name]
    for group in body["groups"]:
        if group["kind"] == "numeric" and not group["low"]:
            del group["low"], group["high"]
    file.write_text(json.dumps(body))
    assert Transform.load(tmp_path) == everything


def test_an_empty_vocabulary_reads_back(transform_of, tmp_path):
    nothing = Embedding(columns=("text", "code"), tensor="i", vocabularies=((), ("7",)))
    transform_of(nothing).save(tmp_path)
    assert Transform.load(tmp_path) == transform_of(nothing)


def test_the_same_transform_is_written_to_the_same_bytes(everything, tmp_path):
    everything.save(tmp_path / "a")
    everything.save(tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["transform.json", "vocabularies.arrow"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("torn", ["transform.json", "vocabularies.arrow"])
def test_a_torn_file_is_said_to_be_one(everything, tmp_path, torn):
    everything.save(tmp_path)
    file = tmp_path / torn
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(StoreError, match="no whole transform"):
        Transform.load(tmp_path)


def test_a_folder_without_a_transform_is_said_to_be_one(tmp_path):
    with pytest.raises(StoreError, match="no whole transform"):
        Transform.load(tmp_path)


def test_another_format_is_refused_rather_than_guessed_at(everything, tmp_path):
    everything.save(tmp_path)
    file = tmp_path / "transform.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 99}))
    with pytest.raises(StoreError, match="format 99"):
        Transform.load(tmp_path)
