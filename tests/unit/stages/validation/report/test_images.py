"""The first bytes of an image say what it is like; torn ones and others say nothing."""

import struct

import pytest

from raypipe.stages.validation.report.images import Image, images_in, read_head
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


def test_images_of_a_sample_are_counted_by_kind_and_size():
    found = images_in([png(16, 16), png(24, 16), png(16, 16), b"none", None])
    assert found is not None
    assert (found.looked_at, found.unread) == (4, 1)
    assert found.kinds == (("PNG, colour, 8 bits", 3),)
    assert found.sizes == (("16 × 16", 2), ("24 × 16", 1))
    assert (found.widths, found.heights) == ((16, 24), (16, 16))
    assert images_in([b"none"]) is None
