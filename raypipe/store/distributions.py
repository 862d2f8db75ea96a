"""What was installed: name and version of the distribution that a module comes from."""

from importlib.util import find_spec

from raypipe.engine.fingerprint.symbols import NOT_INSTALLED

UNKNOWN_VERSION = "unknown"
"""Stands for the version of a module that no distribution brought."""
_FROM_ANOTHER_NAME = {
    "yaml": "PyYAML",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "bs4": "beautifulsoup4",
    "attr": "attrs",
}


def distribution_of(top_level: str) -> tuple[str, str]:
    """Return name and version of what a top-level module comes from."""
    from importlib.metadata import packages_distributions

    for name in (_FROM_ANOTHER_NAME.get(top_level, top_level), top_level.replace("_", "-")):
        if version := version_of(name):
            return name.lower(), version
    for name in packages_distributions().get(top_level, []):
        return name.lower(), version_of(name) or UNKNOWN_VERSION
    return top_level.lower(), UNKNOWN_VERSION if find_spec(top_level) else NOT_INSTALLED


def version_of(distribution: str) -> str | None:
    """Return the version of a distribution; None where it is not installed."""
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
