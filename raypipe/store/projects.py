"""Projects: where one begins, what it is called, and what its files are called as modules."""

from pathlib import Path

from raypipe.errors import UsageError


def project_root(file: Path) -> Path:
    """Return the folder of the nearest pyproject.toml at or above a file's folder.

    Else that folder.
    """
    folder = file.absolute().parent
    for candidate in (folder, *folder.parents):
        if (candidate / "pyproject.toml").is_file():
            return candidate
    return folder


def project_name(root: Path) -> str | None:
    """Return what pyproject.toml calls a project; None where it says nothing, or is not there."""
    import tomllib

    try:
        text = (root / "pyproject.toml").read_text("utf-8")
        name = tomllib.loads(text).get("project", {}).get("name")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{str(root / 'pyproject.toml')!r} cannot be read: {error}",
            hint="mend it: the project's name is taken from it",
        ) from error
    return name if isinstance(name, str) and name else None


def module_name(file: Path, root: Path) -> str:
    """Return the name of a file as a module, relative to the project root."""
    path = file.absolute()
    for base in (root / "src", root):
        if path.is_relative_to(base):
            parts = path.relative_to(base).with_suffix("").parts
            return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)
    return path.stem
