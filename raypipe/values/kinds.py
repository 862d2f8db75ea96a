"""How a field says that it is provenance: kept with a value, but no part of its digest."""

from typing import Any

ASIDE = "raypipe.aside"
"""Key in a dataclass field's metadata; see `aside`."""


def aside() -> dict[str, Any]:
    """Metadata for a dataclass field that is provenance: `field(metadata=aside())`."""
    return {ASIDE: True}
