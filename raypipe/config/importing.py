"""What an import is told: how files are read, and what becomes of rows that cannot be."""

from pydantic import Field, field_validator

from raypipe.config.base import BaseConfig, ColumnNames


class ImportConfig(BaseConfig):
    """Settings of an import; the command's options come before them."""

    partition: str | None = None
    """Column whose values divide the rows into shards of their own; None: they are not divided."""

    key: ColumnNames = ()
    """Columns whose values name a row: a row without one cannot be imported."""

    types: dict[str, str] = {}
    """Column to its type, such as int64, float64, string, bool, date32, timestamp[us] or
    decimal128(10, 2), where what is inferred from all rows is not what is meant."""

    shard_mb: int = Field(128, ge=1, le=4096)
    """Size in MiB of what a shard is made of; a larger file becomes several of even size."""

    rejects: str | None = None
    """File that lists the rows that cannot be read, which are left out; None: they stop it."""

    rejected_share: float = Field(0.01, ge=0, le=1)
    """With `rejects`: the largest share of the rows that may be left out."""

    delimiter: str | None = Field(None, min_length=1, max_length=1)
    """Character between the values of a CSV file; None: a tab in .tsv files, else a comma."""

    encoding: str = "utf-8"
    """How the text of CSV files is written."""

    labels: str | None = None
    """Table with a column `path` and labels of images; None: an image's folder is its label."""

    @field_validator("delimiter")
    @classmethod
    def _delimiter_divides(cls, delimiter: str | None) -> str | None:
        if delimiter is not None and (delimiter in '"\r\n' or not delimiter.isascii()):
            raise ValueError(f"{delimiter!r} cannot stand between values; use a comma or ;")
        return delimiter

    @field_validator("encoding")
    @classmethod
    def _encoding_exists(cls, encoding: str) -> str:
        import codecs

        try:
            "".encode(encoding)  # LookupError too where it is not of text, as base64
            return codecs.lookup(encoding).name
        except LookupError:
            raise ValueError(f"there is no encoding {encoding!r}") from None
