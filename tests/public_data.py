"""Public tables that packages ship inside, as nobody prepared them, and what they mean."""

import pkgutil
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from raypipe.config.data import ColumnSplit, DataConfig, HashSplit


@dataclass(frozen=True, kw_only=True)
class Public:
    """A table, which half of it comes first, and what its columns mean."""

    name: str
    first: pa.Table
    second: pa.Table
    data: DataConfig


def penguins() -> tuple[pd.DataFrame, str, str | None]:
    from palmerpenguins import load_penguins

    return load_penguins(), "species", None


def cancer() -> tuple[pd.DataFrame, str, str | None]:
    from sklearn.datasets import load_breast_cancer

    frame = load_breast_cancer(as_frame=True).frame
    return frame, "target", None


def wine() -> tuple[pd.DataFrame, str, str | None]:
    from sklearn.datasets import load_wine

    return load_wine(as_frame=True).frame, "target", None


def diabetes() -> tuple[pd.DataFrame, str, str | None]:
    from sklearn.datasets import load_diabetes

    return load_diabetes(as_frame=True, scaled=False).frame, "target", None


def affairs() -> tuple[pd.DataFrame, str, str | None]:
    from statsmodels.datasets import fair

    return fair.load_pandas().data, "affairs", None


def health() -> tuple[pd.DataFrame, str, str | None]:
    from statsmodels.datasets import randhie

    return randhie.load_pandas().data, "mdvis", None


def election() -> tuple[pd.DataFrame, str, str | None]:
    from statsmodels.datasets import anes96

    frame = anes96.load_pandas().data
    return frame.assign(vote=frame.vote.astype(int)), "vote", None


def weather() -> tuple[pd.DataFrame, str, str | None]:
    from vega_datasets import local_data

    return local_data.seattle_weather(), "weather", "date"


def cars() -> tuple[pd.DataFrame, str, str | None]:
    from vega_datasets import local_data

    return local_data.cars(), "Origin", "Year"


def stocks() -> tuple[pd.DataFrame, str, str | None]:
    from vega_datasets import local_data

    return local_data.stocks(), "price", "date"


def airports() -> tuple[pd.DataFrame, str, str | None]:
    from vega_datasets import local_data

    return local_data.airports(), "state", None


def sentences() -> tuple[pd.DataFrame, str, str | None]:
    """What two packages write about the tables and the mathematics that they ship."""
    from importlib import import_module

    import sklearn.datasets
    import statsmodels.datasets

    tables = pkgutil.iter_modules(statsmodels.datasets.__path__, "statsmodels.datasets.")
    of_tables = [import_module(f"{one.name}.data") for one in tables if _is_table(one)]
    loaders = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")
    said = {
        "sklearn": [getattr(sklearn.datasets, f"load_{name}")().DESCR for name in loaders],
        "statsmodels": [
            getattr(one, name, "")
            for one in of_tables
            for name in ("DESCRLONG", "SOURCE", "NOTE", "DESCRSHORT")
        ],
    }
    rows = [
        (package, len(sentence.split()), sentence)
        for package, texts in said.items()
        for text in texts
        for sentence in dict.fromkeys(_sentences(text))
    ]
    frame = pd.DataFrame(rows, columns=["package", "words", "said"])
    return frame.drop_duplicates("said"), "package", None


def _is_table(module: "pkgutil.ModuleInfo") -> bool:
    return module.ispkg and not module.name.endswith(".tests")


def _sentences(text: str) -> list[str]:
    """Return the sentences of prose: no tables, no code."""
    parts = re.split(r"\n\s*\n|(?<=[a-z])[.] ", text)
    plain = (" ".join(part.split()) for part in parts)
    return [part for part in plain if len(part) > 40 and not re.search(r">>>|[=|:-]{2}", part)]


TABLES: tuple[Callable[[], tuple[pd.DataFrame, str, str | None]], ...] = (
    penguins,
    cancer,
    wine,
    diabetes,
    affairs,
    health,
    election,
    weather,
    cars,
    stocks,
    airports,
    sentences,
)


def public(read: Callable[[], tuple[pd.DataFrame, str, str | None]], seed: int = 0) -> Public:
    """Read a table and part its rows by lot into two halves: what is there, and what comes new."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame, label, time = read()
    order = np.random.default_rng(seed).permutation(len(frame))
    frame = frame.iloc[order].reset_index(drop=True).assign(row=np.arange(len(frame)))
    half = len(frame) // 2
    parts = (frame.iloc[:half], frame.iloc[half:])
    first, second = (pa.Table.from_pandas(p, preserve_index=False) for p in parts)
    data = DataConfig(
        dataset=f"local://{read.__name__}/main",
        label=label,
        key=("row",),
        time=time,
        split=HashSplit(columns=("row",)),
    )
    return Public(name=read.__name__, first=first, second=second, data=data)


def by_column(data: DataConfig) -> DataConfig:
    """Let a column `split` say the split."""
    return data.model_copy(update={"split": ColumnSplit(column="split")})
