"""What a model is asked about: the rows of a file, or the images of a folder."""

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from raypipe.app.models import read_rows
from raypipe.config.importing import ImportConfig
from raypipe.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from raypipe.values.imported import Rejected

IMAGE = "image"
"""Column of a folder's images, which does not come back with the answers."""


def read_asked(path: Path) -> "pa.Table":
    """Read a file's rows, or a folder's images as an import reads them.

    An image is a row of `path` (below the folder), `image` (its bytes) and `label` (the folder
    that it lies in). UsageError names an image that is none.
    """
    return _images(path) if path.is_dir() else read_rows(path)


def beside_answers(table: "pa.Table", path: Path) -> "pa.Table":
    """Return what stays beside the answers: of a folder all but the images, which have paths."""
    return table.drop_columns([IMAGE]) if path.is_dir() else table


def _images(folder: Path) -> "pa.Table":
    import pyarrow as pa

    from raypipe.stages.data.images import image_rows
    from raypipe.stages.data.inputs import find_inputs

    settings = ImportConfig()
    found = find_inputs([folder], settings, read=False)
    if any(one.kind != "images" for one in found):
        raise UsageError(
            f"{str(folder)!r} is a folder of files with rows",
            hint="give one of the files: .parquet, .csv or .jsonl",
        )
    return pa.Table.from_batches(
        lines.batch for one in found for lines in image_rows(one, settings, _refuse)
    )


def _refuse(rejected: "Rejected") -> NoReturn:
    raise UsageError(rejected.reason, hint="take it out of the folder, or mend it")
