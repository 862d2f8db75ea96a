"""What images are like, by their first bytes: nothing is decoded."""

import struct
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.values.texts import Places, Texts

Content = bytes | memoryview

PNG_MODES = {0: "grey", 2: "colour", 3: "palette", 4: "grey with alpha", 6: "colour with alpha"}
JPEG_MODES = {1: "grey", 3: "colour", 4: "four colours (CMYK)"}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG that tell its size."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """What the head of an image file says."""

    format: str
    mode: str
    width: int
    height: int


PARTS = pa.struct(
    [("format", pa.string()), ("mode", pa.string()), ("width", pa.int64()), ("height", pa.int64())]
)
"""What is told of an image, as a struct that its bytes might have held."""

_FIRST = np.frombuffer(b"\x89\xffGBR", np.uint8)
"""First bytes of the formats that are read."""


def images_of(array: pa.Array, texts: Texts) -> tuple[pa.StructArray, Places]:
    """Return what the images among some bytes are like, and the rows that they stand in.

    Only heads are read, so that an image may be torn farther on. What is no image of a format that
    is known (PNG, JPEG, GIF, BMP, WebP) is left out.
    """
    like = np.isin(texts.content[texts.starts], _FIRST) & (texts.lengths > 0)
    if array.null_count:
        like &= pc.is_valid(array).to_numpy(zero_copy_only=False)
    content = memoryview(texts.content)  # type: ignore[arg-type]
    found, rows = [], []
    for row in np.flatnonzero(like).tolist():
        start = int(texts.starts[row])
        image = read_head(content[start : start + int(texts.lengths[row])])
        if image is not None:
            found.append(asdict(image))
            rows.append(row)
    return pa.array(found, PARTS), np.array(rows, np.int64)


def read_head(content: Content) -> Image | None:
    """Return what the first bytes of an image say of it; None if they are of none that is known."""
    try:
        for read in (_png, _jpeg, _gif, _bmp, _webp):
            if (found := read(content)) is not None:
                return found
    except (struct.error, IndexError):  # it is cut off
        return None
    return None


def _png(content: Content) -> Image | None:
    if content[:8] != b"\x89PNG\r\n\x1a\n" or content[12:16] != b"IHDR":
        return None
    width, height, depth, colour = struct.unpack(">IIBB", content[16:26])
    mode = PNG_MODES.get(colour, "unknown")
    return Image(format="PNG", mode=f"{mode}, {depth} bits", width=width, height=height)


def _jpeg(content: Content) -> Image | None:
    if content[:2] != b"\xff\xd8":
        return None
    place = 2
    while True:
        while content[place] == 0xFF and content[place + 1] == 0xFF:  # filling
            place += 1
        if content[place] != 0xFF:
            return None
        marker, length = struct.unpack(">xBH", content[place : place + 4])
        if marker in _FRAMES:
            depth, height, width, parts = struct.unpack(">BHHB", content[place + 4 : place + 10])
            mode = JPEG_MODES.get(parts, "unknown")
            return Image(format="JPEG", mode=f"{mode}, {depth} bits", width=width, height=height)
        place += 2 + length


def _gif(content: Content) -> Image | None:
    if content[:6] not in (b"GIF87a", b"GIF89a"):
        return None
    width, height = struct.unpack("<HH", content[6:10])
    return Image(format="GIF", mode="palette", width=width, height=height)


def _bmp(content: Content) -> Image | None:
    if content[:2] != b"BM":
        return None
    width, height, _, bits = struct.unpack("<iiHH", content[18:30])
    return Image(format="BMP", mode=f"{bits} bits", width=width, height=abs(height))


def _webp(content: Content) -> Image | None:
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        return None
    match content[12:16]:
        case b"VP8X":
            flags, low, high, short, tall = struct.unpack("<B3xHBHB", content[20:30])
            mode = "colour with alpha" if flags & 0x10 else "colour"
            width, height = (high << 16 | low) + 1, (tall << 16 | short) + 1
            return Image(format="WebP", mode=mode, width=width, height=height)
        case b"VP8L":
            (bits,) = struct.unpack("<I", content[21:25])
            mode = "colour with alpha" if bits >> 28 & 1 else "colour"
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
            return Image(format="WebP", mode=mode, width=width, height=height)
        case b"VP8 ":
            width, height = struct.unpack("<HH", content[26:30])
            return Image(format="WebP", mode="colour", width=width & 0x3FFF, height=height & 0x3FFF)
    return None
