"""A dataset reference is taken apart, or said to be none."""

import pytest

from raypipe.errors import UsageError
from raypipe.values.uri import DatasetUri, parse_uri


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("local://flights/main", DatasetUri(scheme="local", repo="flights", ref="main")),
        ("local://flights/main/", DatasetUri(scheme="local", repo="flights", ref="main")),
        (
            "lakefs://a.b/v1.0/x/y_z",
            DatasetUri(scheme="lakefs", repo="a.b", ref="v1.0", path="x/y_z"),
        ),
    ],
)
def test_a_reference_names_repository_ref_and_path(text, uri):
    assert parse_uri(text) == uri
    assert parse_uri(str(uri)) == uri


def test_a_path_is_a_folder():
    assert parse_uri("local://flights/main/raw").prefix == "raw/"
    assert parse_uri("local://flights/main").prefix == ""


@pytest.mark.parametrize(
    "text",
    [
        "flights/main",
        "s3://flights/main",
        "local://flights",
        "local:///main",
        "local://flights//x",
        "local://flights/main/a/../b",
        "local://../main",
        "local://flights/..",
        "",
    ],
)
def test_what_is_no_reference_is_refused_with_how_one_is_written(text):
    with pytest.raises(UsageError, match="no dataset reference") as refused:
        parse_uri(text)
    assert "local://REPO/REF" in str(refused.value.hint)
