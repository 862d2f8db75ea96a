"""A transform with a group of every kind, and rows with everything that can be odd in a row."""

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from types import ModuleType
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest

from raypipe.config.number_groups import DatePart
from raypipe.values.signature import Feature, Label, Signature
from raypipe.values.transform import Transform
from raypipe.values.transform.category_groups import Frequency, Hashed, MultiHot, Ordinal
from raypipe.values.transform.content_groups import Image, Text
from raypipe.values.transform.groups import Cyclic, Embedding, Function, Group, Numeric, OneHot
from raypipe.values.transform.number_groups import Buckets, Date
from raypipe.values.transform.tokenizing import learned
from raypipe.values.transform.transform import features_of, tensor_specs
from raypipe.values.transform.types import arrow_type

TYPES = {
    "x": "double",
    "n": "int64",
    "flag": "bool",
    "text": "string",
    "code": "int64",
    "day": "date32[day]",
    "level": "double",
    "at": "timestamp[us, tz=UTC]",
    "tags": "list<item: string>",
    "title": "string",
    "picture": "binary",
}


NO_ROWS = pa.schema([(name, arrow_type(kind)) for name, kind in TYPES.items()]).empty_table()


def twice(rows: pa.Table) -> np.ndarray:
    """A user's function: two values a row."""
    x = rows["x"].to_numpy(zero_copy_only=False)
    known = np.where(np.isfinite(x), np.clip(x, -1e30, 1e30), 0.0)
    return np.stack([known * 2, known + 1], axis=1)


COUNTS = {"a": 9, "b": 7, "sun": 5, "moon": 3}
WORDS = learned(COUNTS, "words", lowercase=True, vocabulary=20, min_count=1)
GROUPS: tuple[Group, ...] = (
    Numeric(
        columns=("x", "n", "flag"),
        tensor="dense",
        fill=(0.25, 3.0, 1.0),
        log=False,
        center=(0.5, 2.0, 0.5),
        scale=(2.0, 0.7, 0.3),
    ),
    Numeric(
        columns=("x", "n"), tensor="logs", fill=(1.5, 0.0), log=True, center=(0.1, 0), scale=(3, 1)
    ),
    Cyclic(columns=("x", "n"), tensor="dense", period=24.0),
    OneHot(
        columns=("text", "flag"), tensor="dense", vocabularies=(("b", "", "a"), ("true", "false"))
    ),
    Embedding(
        columns=("text", "code", "day", "level"),
        tensor="indices",
        vocabularies=(("a", "b", ""), ("7", "-3"), ("2013-01-02",), ("5", "0.5")),
    ),
    Function(columns=("x",), tensor="dense", function="a_users_module:twice", width=2),
    Numeric(
        columns=("x", "n"),
        tensor="more",
        fill=(1.5, 0.0),
        log=False,
        center=(0.1, 0),
        scale=(3, 1),
        low=(-2.5, None),
        high=(7.25, 100.0),
    ),
    Buckets(columns=("x", "n"), tensor="more", edges=((-1.0, 0.0, 2.5), ()), index=False),
    Buckets(columns=("level", "flag"), tensor="places", edges=((0.5, 5.0), (1.0,)), index=True),
    Date(
        columns=("day", "at"),
        tensor="more",
        parts=tuple(get_args(DatePart)),
        cyclic=True,
        zone="America/New_York",
        center=(1.36e9, 1.36e9),
        scale=(3e6, 7e6),
    ),
    Date(
        columns=("at",),
        tensor="more",
        parts=("month", "day_of_year"),
        cyclic=False,
        zone=None,
        center=(0.0,),
        scale=(1.0,),
    ),
    Ordinal(columns=("text", "n"), tensor="more", vocabularies=(("a", "", "b"), ("7", "24"))),
    Frequency(
        columns=("text", "level"),
        tensor="more",
        vocabularies=(("a", "b"), ("5", "0.5")),
        shares=((0.5, 0.125), (0.3, 0.1)),
    ),
    Hashed(columns=("text", "code", "level", "day"), tensor="places", buckets=7, index=True),
    Hashed(columns=("text", "flag"), tensor="more", buckets=5, index=False),
    MultiHot(columns=("tags",), tensor="more", vocabularies=(("a", "", "b"),)),
    Text(columns=("text", "title"), tensor="tokens", tokenizer=WORDS, length=4, shift=0, size=6),
    Image(
        columns=("picture",),
        tensor="image",
        size=(3, 5),
        channels=3,
        mean=(0.5, 0.25, 0.1),
        std=(0.3, 0.2, 0.7),
        broken="stop",
    ),
)
"""A group of every kind."""


def make(groups: tuple[Group, ...], **given: object) -> Transform:
    """Make a transform of groups over the columns of TYPES."""
    known = {name: Feature(name=name, type=kind, nullable=True) for name, kind in TYPES.items()}
    label = Label(name="late", task="binary", classes=("false", "true"))
    signature = Signature(
        features=features_of(groups, known), tensors=tensor_specs(groups), label=label
    )
    return Transform(**{"groups": groups, "signature": signature, "label_type": "bool", **given})


@pytest.fixture(scope="session", autouse=True)
def users_module() -> Iterator[ModuleType]:
    """A module of a user's, for functions that transforms name."""
    module = ModuleType("a_users_module")
    module.twice = twice  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


@pytest.fixture(scope="session")
def everything() -> Transform:
    """A transform with a group of every kind."""
    return make(GROUPS)


@pytest.fixture(scope="session")
def transform_of() -> Callable[..., Transform]:
    """Make a transform of some groups."""
    return lambda *groups, **given: make(groups, **given)


@pytest.fixture(scope="session")
def no_rows() -> pa.Table:
    """All columns, without a row."""
    return NO_ROWS


@pytest.fixture(scope="session")
def a_row() -> pa.Table:
    """A row in which nothing is odd."""
    row = {
        "x": 1.0,
        "n": 1,
        "flag": True,
        "text": "a",
        "code": 7,
        "day": date(2013, 1, 2),
        "level": 5.0,
        "at": datetime(2013, 1, 2, 3, 4, 5, tzinfo=UTC),
        "tags": ["a", "b"],
        "title": "The Sun",
        "picture": None,
    }
    return pa.Table.from_pylist([row], schema=NO_ROWS.schema)
