"""What a fitted group of images does to its column: decode, resize, normalise; one by one."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from raypipe.errors import UsageError
from raypipe.values.transform.content_groups import Image
from raypipe.values.transform.reading import Column
from raypipe.values.transform.stacking import Part, Target

MOST_PIXELS = 100_000_000
"""Pixels of the largest image that is decoded: a small file can hold one that fills the memory."""
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")

Pixels = npt.NDArray[np.uint8]


class BrokenImage(UsageError):
    """Bytes that are no whole image, in a row of those that were given."""

    def __init__(self, row: int, what: str, place: str = "") -> None:
        super().__init__(
            f"{place}row {row}: {what}",
            hint=f"Give {', '.join(FORMATS)}; `broken: blank` takes what is none as missing.",
        )
        self.row = row
        self.what = what


@contextmanager
def rows_of(file: str, rows: npt.NDArray[np.int64]) -> Iterator[None]:
    """Name a broken image in the body by its file, and its row in it, counted from 0."""
    try:
        yield
    except BrokenImage as error:
        raise BrokenImage(int(rows[error.row]), error.what, f"{file}, ") from None


def image_part(group: Image) -> Part:
    """Decode, resize and normalise images."""
    mean = np.array(group.mean, np.float32)[:, None, None] * np.float32(255)
    std = np.array(group.std, np.float32)[:, None, None] * np.float32(255)

    def apply(columns: Sequence[Column], target: Target) -> None:
        (column,) = columns
        for row, content in enumerate(column):
            pixels = pixels_of(content, group.columns[0], row, group)
            if pixels is None:
                target[row] = 0
            else:
                np.subtract(pixels, mean, out=target[row])
                target[row] /= std

    return apply


def pixels_of(content: Any, name: str, row: int, group: Any) -> Pixels | None:
    """Return an image's pixels, [channels, height, width]; None where there is none.

    `group` tells its size, its channels, and what a broken image is. UsageError for one where that
    stops.
    """
    value = content.as_py() if hasattr(content, "as_py") else content
    if value is None:
        return None
    try:
        return _decoded(value, group.size, group.channels)
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises what its decoders meet, and its own for huge images
        if group.broken == "blank":
            return None
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        what = f"the column {name!r} holds {len(value):,} bytes that are no whole image: {said}"
        raise BrokenImage(row, what) from error


def _decoded(content: bytes, size: tuple[int, int], channels: int) -> Pixels:
    from PIL import Image as Pillow

    with Pillow.open(io.BytesIO(content), formats=FORMATS) as image:
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise ValueError(f"it has {width:,} times {height:,} pixels, more than {MOST_PIXELS:,}")
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            whole = image.convert("RGBA")
            ground = Pillow.new("RGBA", whole.size, (0, 0, 0, 255))
            opaque: Any = Pillow.alpha_composite(ground, whole)
        else:
            opaque = _of_eight_bits(image) if image.mode.startswith("I") else image
        plain = opaque.convert("L" if channels == 1 else "RGB")
        if plain.size != size[::-1]:
            plain = plain.resize(size[::-1], Pillow.Resampling.BILINEAR)
        pixels = np.asarray(plain, np.uint8)
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _of_eight_bits(image: Any) -> Any:
    """Return an image of 16 bits a pixel as one of 8: Pillow takes all above 255 for white."""
    from PIL import Image as Pillow

    pixels = np.asarray(image).astype(np.float64) / 257
    return Pillow.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
