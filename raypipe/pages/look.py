"""What pages are drawn with beside code, as a digest: handed to the steps that write them."""

from functools import cache
from pathlib import Path

from raypipe.engine.digest import digest_bytes

_OWN = Path(__file__).with_name("templates")


@cache
def look_of(folder: Path) -> str:
    """Return the digest of the templates of a folder, and of what all pages share.

    No code says what is in them, so that a page would stay as it was when they change.
    """
    files = [*sorted(_OWN.iterdir()), *sorted(folder.iterdir())]
    told = (f"{file.name} {digest_bytes(file.read_bytes())}" for file in files if file.is_file())
    return digest_bytes("\n".join(told).encode())
