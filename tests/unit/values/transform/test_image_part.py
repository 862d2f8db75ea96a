"""Images decoded, resized and normalised."""

import io
import struct
import zlib

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image as Pillow

from raypipe.errors import UsageError
from raypipe.values.transform import image_part
from raypipe.values.transform.content_groups import Image


def group(size=(2, 3), channels=3, broken="stop", mean=0.0, std=1.0):
    """A group over pictures."""
    return Image(
        columns=("picture",),
        tensor="t",
        size=size,
        channels=channels,
        mean=(mean,) * channels,
        std=(std,) * channels,
        broken=broken,
    )


def png(pixels, mode=None):
    """Write pixels as a file's bytes."""
    written = io.BytesIO()
    image = Pillow.fromarray(np.asarray(pixels, np.uint8))
    (image.convert(mode) if mode else image).save(written, "PNG")
    return written.getvalue()


def apply(transform, *pictures):
    """Return the tensor of pictures."""
    return transform.apply(pa.table({"picture": pa.array(pictures, pa.binary())}))["t"]


def test_pixels_go_by_channel_then_row_and_are_normalised(transform_of):
    pixels = np.arange(18).reshape(2, 3, 3) * 10
    transform = transform_of(group(mean=0.5, std=0.25))
    found = apply(transform, png(pixels))
    assert found.shape == (1, 3, 2, 3)
    assert found[0] == pytest.approx((pixels.transpose(2, 0, 1) / 255 - 0.5) / 0.25, abs=1e-5)
    spec = transform.signature.tensor("t")
    assert (spec.dtype, spec.shape) == ("float32", (3, 2, 3))


def test_images_of_any_size_and_mode_become_one_shape(transform_of):
    grey = png(np.full((9, 4), 255))
    colour, palette = png(np.full((1, 1, 3), 255)), png(np.full((2, 2), 255), "P")
    for channels in (1, 3):
        found = apply(transform_of(group(channels=channels)), grey, colour, palette)
        assert found.tolist() == np.ones((3, channels, 2, 3)).tolist()


def test_what_is_transparent_lies_on_black(transform_of):
    clear = np.full((2, 2, 4), 255)
    clear[..., 3] = 0
    assert apply(transform_of(group()), png(clear)).max() == 0


def test_a_missing_image_is_all_zero(transform_of):
    found = apply(transform_of(group(mean=0.5)), None, png(np.zeros((2, 2, 3))))
    assert found[0].max() == 0
    assert found[1].max() == pytest.approx(-0.5)


@pytest.mark.parametrize(
    "content", [b"", b"no image", png(np.zeros((64, 64, 3)))[:60]], ids=["empty", "none", "torn"]
)
def test_bytes_that_are_no_whole_image_are_named_or_blank(transform_of, content):
    with pytest.raises(UsageError, match=f"row 1: .*'picture' holds {len(content)} bytes"):
        apply(transform_of(group()), png(np.zeros((2, 2, 3))), content)
    assert apply(transform_of(group(broken="blank", mean=0.5)), content).max() == 0


def test_an_image_that_would_fill_the_memory_is_refused(transform_of, monkeypatch):
    monkeypatch.setattr(image_part, "MOST_PIXELS", 15)
    with pytest.raises(UsageError, match="4 times 4 pixels, more than 15"):
        apply(transform_of(group()), png(np.zeros((4, 4, 3))))


def test_an_image_that_pillow_itself_refuses_as_too_large_is_named_too(transform_of):
    def chunk(kind, data):
        said = kind + data
        return struct.pack(">I", len(data)) + said + struct.pack(">I", zlib.crc32(said))

    head = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(UsageError, match=r"row 0: .*400000000 pixels"):
        apply(transform_of(group()), bomb)
    assert apply(transform_of(group(broken="blank")), bomb).max() == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_a_pixel_keep_their_shades(transform_of, channels):
    written = io.BytesIO()
    Pillow.fromarray(np.array([[0, 65_535 // 4, 65_535 // 2], [65_535, 257, 0]], np.uint16)).save(
        written, "PNG"
    )
    found = apply(transform_of(group(channels=channels)), written.getvalue())
    wanted = np.array([[0, 0.25, 0.5], [1, 1 / 255, 0]])
    assert found[0] == pytest.approx(np.broadcast_to(wanted, (channels, 2, 3)), abs=1 / 255)
