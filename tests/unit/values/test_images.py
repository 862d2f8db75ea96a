"""The first bytes of an image say what it is like; torn ones and others say nothing."""

import struct

import pyarrow as pa
import pytest

from raypipe.values.images import Image, read_head
from raypipe.values.measure import Parts
from raypipe.values.profile import Profile, profile_parts, profile_table
from tests.hostile import png


def jpeg(width: int, height: int, parts: int) -> bytes:
    """Return a JPEG's head: an EXIF part, a table, filling, then the frame."""
    exif = b"\xff\xe1" + struct.pack(">H", 10) + b"Exif\0\0\xff\xc0"
    table = b"\xff\xc4" + struct.pack(">H", 5) + b"abc"
    frame = b"\xff\xff\xff\xc2" + struct.pack(">HBHHB", 8 + 3 * parts, 8, height, width, parts)
    return b"\xff\xd8" + exif + table + frame + b"\0" * 3 * parts


WEBP = b"RIFF\0\0\0\0WEBP"
HEADS = {
    "png": (png(640, 480), Image(format="PNG", mode="colour, 8 bits", width=640, height=480)),
    "jpeg": (jpeg(640, 480, 3), Image(format="JPEG", mode="colour, 8 bits", width=640, height=480)),
    "grey": (jpeg(8, 9, 1), Image(format="JPEG", mode="grey, 8 bits", width=8, height=9)),
    "gif": (
        b"GIF89a" + struct.pack("<HH", 3, 4) + b"\0" * 3,
        Image(format="GIF", mode="palette", width=3, height=4),
    ),
    "bmp": (
        b"BM" + b"\0" * 16 + struct.pack("<iiHH", 5, -6, 1, 24),
        Image(format="BMP", mode="24 bits", width=5, height=6),
    ),
    "webp": (
        WEBP + b"VP8X\n\0\0\0\x10\0\0\0" + b"\x63\0\0" + b"\xc7\0\0",
        Image(format="WebP", mode="colour with alpha", width=100, height=200),
    ),
    "lossless": (
        WEBP + b"VP8L\0\0\0\0\x2f" + struct.pack("<I", 99 | 199 << 14),
        Image(format="WebP", mode="colour", width=100, height=200),
    ),
    "lossy": (
        WEBP + b"VP8 " + b"\0" * 10 + struct.pack("<HH", 100, 200),
        Image(format="WebP", mode="colour", width=100, height=200),
    ),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_tells_format_mode_and_size(name):
    content, image = HEADS[name]
    assert read_head(content) == image


@pytest.mark.parametrize("name", HEADS)
def test_an_image_that_is_cut_off_anywhere_tells_nothing_or_the_same(name):
    content, image = HEADS[name]
    assert {read_head(content[:end]) for end in range(len(content))} <= {None, image}


@pytest.mark.parametrize("content", [b"", b"<svg/>", b"\xff\xd8\xff", b"\xff\xd8ab", b"\0" * 100])
def test_what_is_no_image_is_none(content):
    assert read_head(content) is None


def pictures(*contents: bytes | None) -> pa.Table:
    return pa.table({"picture": pa.array(contents, pa.binary())})


def test_a_profile_tells_format_mode_and_size_of_all_images():
    table = pictures(png(16, 16), b"none", jpeg(24, 9, 3), None, png(16, 16), b"")
    inner = profile_table(table).columns["picture"].inner
    assert list(inner) == ["format", "mode", "width", "height"]
    assert inner["format"].values == {"JPEG": 1, "PNG": 2}
    assert inner["mode"].values == {"colour, 8 bits": 3}
    assert (inner["width"].count, inner["width"].min, inner["width"].max) == (3, 16.0, 24.0)
    assert inner["height"].values == {"16": 2, "9": 1}


def told(profile: Profile) -> dict[str, tuple[object, ...]]:
    inner = profile.columns["picture"].inner
    return {name: (c.count, c.nulls, c.values, c.min, c.max) for name, c in inner.items()}


def test_of_images_too_a_whole_is_its_merged_parts():
    contents = [png(16, 16), b"none", None, jpeg(24, 9, 3), b"GIF", png(16, 16)]
    whole = told(profile_table(pictures(*contents)))
    for cut in range(len(contents)):
        parts = [profile_table(pictures(*half)) for half in (contents[:cut], contents[cut:])]
        assert told(Profile.merge_all(parts)) == whole
    assert profile_table(pictures(b"none", None)).columns["picture"].inner == {}


def test_each_part_of_a_table_has_its_own_images():
    table = pictures(png(16, 16), b"none", png(8, 8))
    parts = Parts.of(pa.array([0, 1, 2], pa.int8()).to_numpy(), 3)
    first, second, third = (p.columns["picture"].inner for p in profile_parts(table, parts))
    assert (first["width"].values, second, third["width"].values) == ({"16": 1}, {}, {"8": 1})
