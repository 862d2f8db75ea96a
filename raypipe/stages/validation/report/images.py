"""What the images of a column are like, by the first bytes of those in the sample."""

import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

PNG_MODES = {0: "grey", 2: "colour", 3: "palette", 4: "grey with alpha", 6: "colour with alpha"}
JPEG_MODES = {1: "grey", 3: "colour", 4: "four colours (CMYK)"}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG that tell its size."""
SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Image:
    """What the head of an image file says."""

    format: str
    mode: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Images:
    """What the images of a sample are like."""

    looked_at: int
    unread: int
    """Values that are no image whose head is known."""
    kinds: tuple[tuple[str, int], ...]
    """Format and mode, the most frequent first."""
    sizes: tuple[tuple[str, int], ...]
    widths: tuple[int, int]
    heights: tuple[int, int]


def images_in(values: Iterable[bytes | None]) -> Images | None:
    """Return what the images among some values are like; None if there are none."""
    contents = [value for value in values if value]
    found = [image for content in contents if (image := read_head(content)) is not None]
    if not found:
        return None
    kinds = Counter(f"{image.format}, {image.mode}" for image in found)
    sizes = Counter(f"{image.width} × {image.height}" for image in found)
    return Images(
        looked_at=len(contents),
        unread=len(contents) - len(found),
        kinds=_most(kinds),
        sizes=_most(sizes),
        widths=_ends(image.width for image in found),
        heights=_ends(image.height for image in found),
    )


def read_head(content: bytes) -> Image | None:
    """Return what the first bytes of an image say of it; None if they are of none that is known."""
    try:
        for read in (_png, _jpeg, _gif, _bmp, _webp):
            if (found := read(content)) is not None:
                return found
    except (struct.error, IndexError):  # it is cut off
        return None
    return None


def _most(counts: Counter[str]) -> tuple[tuple[str, int], ...]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    first, rest = ordered[:SHOWN], ordered[SHOWN:]
    return (*first, *([(f"{len(rest):,} others", sum(n for _, n in rest))] if rest else []))


def _ends(values: Iterable[int]) -> tuple[int, int]:
    known = list(values)
    return min(known), max(known)


def _png(content: bytes) -> Image | None:
    if content[:8] != b"\x89PNG\r\n\x1a\n" or content[12:16] != b"IHDR":
        return None
    width, height, depth, colour = struct.unpack(">IIBB", content[16:26])
    mode = PNG_MODES.get(colour, "unknown")
    return Image(format="PNG", mode=f"{mode}, {depth} bits", width=width, height=height)


def _jpeg(content: bytes) -> Image | None:
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


def _gif(content: bytes) -> Image | None:
    if content[:6] not in (b"GIF87a", b"GIF89a"):
        return None
    width, height = struct.unpack("<HH", content[6:10])
    return Image(format="GIF", mode="palette", width=width, height=height)


def _bmp(content: bytes) -> Image | None:
    if content[:2] != b"BM":
        return None
    width, height, _, bits = struct.unpack("<iiHH", content[18:30])
    return Image(format="BMP", mode=f"{bits} bits", width=width, height=abs(height))


def _webp(content: bytes) -> Image | None:
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
