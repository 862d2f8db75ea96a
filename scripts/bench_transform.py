"""What fitting a recipe and applying it cost, beside Ray's preprocessors and scikit-learn's.

The flights recipe of configs/flights.yaml is fitted to the kept profiles of twelve months, and
Ray's preprocessors, which know no profiles, to the train rows of the same columns. A transform of
20 columns (12 numbers with some values missing, 4 columns of few categories, 4 of many) is applied
to rows as each library takes them: Arrow batches here, DataFrames there. Each number is the best
of some turns, and the three take turns.

    python scripts/bench_model.py transform
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

ROWS = 4_096
TIMES = 7
FITTED_ON = 200_000
"""Rows that the transform of 20 columns is fitted to; what it costs to apply hangs on no more
than the vocabularies."""
NUMBERS = tuple(f"number {n}" for n in range(12))
FEW = {f"few {n}": 3 + 4 * n for n in range(4)}
"""Columns that become flags, and how many values each has."""
MANY = {f"many {n}": 100 * (n + 1) for n in range(4)}
"""Columns that become indices."""

Line = tuple[str, float, list[Any] | None, str]


def transform(folder: Path) -> list[Line]:
    """Return what fitting and applying cost."""
    return [*fitting(folder), *applying()]


# --- fitting -------------------------------------------------------------------------------------


def fitting(folder: Path) -> list[Line]:
    """Return the CPU seconds of fitting the flights recipe, and of Ray's preprocessors."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    from bench_tuning import Watch
    from flights import build, source_folder, write_months

    from raypipe.config.cycle import CycleConfig
    from raypipe.config.load import load
    from raypipe.stages.data.profiling import profile_file
    from raypipe.stages.preprocessing.fitting import fit_transform
    from raypipe.stages.validation.inference import infer_schema
    from raypipe.values.profile import SplitProfiles
    from raypipe.values.split import SPLITS, split_of

    config = load(Path(__file__).parent.parent / "configs" / "flights.yaml")
    assert isinstance(config, CycleConfig)
    months = write_months(build(source_folder()), folder / "flights", range(1, 13))
    kept = [profile_file(str(month), config.data.split, config.data.key) for month in months]
    profile = SplitProfiles.merge_all(kept)
    schema = infer_schema(config.name, profile.all, config.data, config.validation)
    recipe, label, task = config.preprocessing.groups, config.data.label, config.training.task

    def fit() -> None:
        train = SplitProfiles.merge_all(kept).train
        fit_transform(train, recipe, schema, label, task)

    ours = min(cpu(fit) for _ in range(TIMES))
    alone = min(
        cpu(partial(fit_transform, profile.train, recipe, schema, label, task))
        for _ in range(TIMES)
    )
    rows = pq.read_table(months)
    rows = rows.filter(pc.equal(split_of(rows, config.data.split), SPLITS.index("train")))
    pq.write_table(rows, folder / "train.parquet")
    spent, took = by_ray(folder, recipe, Watch)
    return [
        ("fit of the flights recipe from twelve kept profiles (CPU)", ours, at_most(0.2), "s"),
        ("  without merging them", alone, None, "s"),
        (
            f"Ray's preprocessors, the same columns of {rows.num_rows:,} rows (CPU)",
            spent,
            None,
            "s",
        ),
        ("  the same, wall", took, None, "s"),
        ("  Ray's over raypipe's (CPU)", spent / ours, None, ""),
    ]


def by_ray(folder: Path, recipe: Sequence[Any], watch: Any) -> tuple[float, float]:
    """Return the seconds of CPU, of all Ray's processes, and by the clock of a fit by Ray."""
    import ray.data
    from bench_model import end_ray, start_ray

    from raypipe.model.rows.on_ray import quietly

    wanted = {
        kind: [name for group in recipe if group.kind == kind for name in group.columns]
        for kind in ("numeric", "one_hot", "embedding")
    }
    names = [name for one in wanted.values() for name in one]
    spent, took = [], []
    start_ray(folder)
    with quietly():
        rows = ray.data.read_parquet(str(folder / "train.parquet"), columns=names).materialize()
        for _ in range(2):  # the first turn starts workers
            chain = chain_of(wanted["numeric"], wanted["one_hot"], wanted["embedding"])
            began, looking = time.perf_counter(), watch()
            chain.fit(rows)
            took.append(time.perf_counter() - began)
            spent.append(looking.end())
    end_ray()
    return min(spent), min(took)


def chain_of(numbers: Sequence[str], few: Sequence[str], many: Sequence[str]) -> Any:
    """Return Ray's preprocessors that do most nearly the same.

    They know no median, and categories must not be missing.
    """
    from ray.data.preprocessors import (
        Chain,
        OneHotEncoder,
        OrdinalEncoder,
        SimpleImputer,
        StandardScaler,
    )

    return Chain(
        SimpleImputer(list(numbers), strategy="mean"),
        StandardScaler(list(numbers)),
        SimpleImputer([*few, *many], strategy="constant", fill_value="missing"),
        OneHotEncoder(list(few)),
        OrdinalEncoder(list(many)),
    )


# --- applying ------------------------------------------------------------------------------------


def applying() -> list[Line]:
    """Return what a row and a batch cost, by raypipe, scikit-learn and Ray."""
    import pyarrow as pa

    table = rows_of(FITTED_ON)
    batch = table.slice(0, ROWS).combine_chunks().to_batches()[0]
    row = pa.RecordBatch.from_arrays([column[:1] for column in batch.columns], batch.schema.names)
    frame = batch.to_pandas()
    first = frame.iloc[:1]
    ours, sklearn, ray = by_raypipe(table), by_sklearn(table), by_chain(table)
    lines: list[Line] = []
    for what, given, pandas, bound, times in (
        ("a row", row, first, 0.2, 200),
        (f"a batch of {ROWS:,} rows", batch, frame, 2.0, 20),
    ):
        calls: dict[str, Callable[[], Any]] = {
            "raypipe": partial(ours, given),
            "scikit-learn's ColumnTransformer": partial(sklearn, pandas),
            "Ray's Chain": partial(ray, pandas),
        }
        best = dict.fromkeys(calls, float("inf"))
        for _ in range(TIMES):
            for name, call in calls.items():
                best[name] = min(
                    best[name], wall(call, times if name == "raypipe" else times // 10)
                )
        mine = best.pop("raypipe")
        lines.append((f"transform of 20 columns: {what}", 1000 * mine, at_most(bound), "ms"))
        for name, took in best.items():
            lines += [
                (f"  {name}", 1000 * took, None, "ms"),
                ("    over raypipe's", took / mine, None, ""),
            ]
    return lines


def rows_of(count: int) -> Any:
    """Make rows: numbers with gaps and of several sizes, categories of few and of many values."""
    import pyarrow as pa

    draw = np.random.default_rng(0)
    columns: dict[str, Any] = {}
    for place, name in enumerate(NUMBERS):
        values = draw.normal(size=count) * 10 ** (place % 4)
        columns[name] = pa.array(values, mask=draw.random(count) < 0.02 * (place % 3))
    for name, size in {**FEW, **MANY}.items():
        words = pa.array([f"value {n}" for n in range(size)])
        columns[name] = words.take(pa.array(np.minimum(draw.zipf(1.3, count) - 1, size - 1)))
    return pa.table(columns)


def by_raypipe(table: Any) -> Callable[[Any], Any]:
    """Fit by raypipe; return what transforms."""
    import pyarrow as pa

    from raypipe.config.data import ColumnSplit
    from raypipe.config.preprocessing import EmbeddingGroup, NumericGroup, OneHotGroup
    from raypipe.stages.data.profiling import profile_splits
    from raypipe.stages.preprocessing.fitting import fit_transform
    from raypipe.values.schema import Column, Schema

    recipe = (
        NumericGroup(columns=NUMBERS),
        OneHotGroup(columns=tuple(FEW)),
        EmbeddingGroup(columns=tuple(MANY)),
    )
    schema = Schema(
        name="bench",
        columns=(
            *(Column(name=name, type="double", required=False) for name in NUMBERS),
            *(Column(name=name, type="string") for name in (*FEW, *MANY)),
            Column(name="late", type="bool", roles=("label",)),
        ),
    )
    rows = table.num_rows
    table = table.append_column("late", pa.array(np.arange(rows) % 2 == 0))
    table = table.append_column("split", pa.array(["train"] * rows))
    profile = profile_splits(table, ColumnSplit(column="split"), ()).train
    return fit_transform(profile, recipe, schema, "late", "binary").apply


def by_sklearn(table: Any) -> Callable[[Any], Any]:
    """Fit scikit-learn's; return what transforms."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    flags = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
    indices = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    made = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), list(NUMBERS)),
            ("few", flags, list(FEW)),
            ("many", indices, list(MANY)),
        ]
    )
    return made.fit(table.to_pandas()).transform  # type: ignore[no-any-return]


def by_chain(table: Any) -> Callable[[Any], Any]:
    """Fit Ray's to rows in the driver's memory; return what transforms."""
    import tempfile

    import ray.data
    from bench_model import end_ray, start_ray

    from raypipe.model.rows.on_ray import quietly

    chain = chain_of(NUMBERS, tuple(FEW), tuple(MANY))
    with tempfile.TemporaryDirectory(prefix="rpt-", dir="/tmp") as folder:
        start_ray(Path(folder))
        with quietly():
            chain = chain.fit(ray.data.from_arrow(table))
        end_ray()
    return chain.transform_batch  # type: ignore[no-any-return]


def at_most(limit: float) -> list[Any]:
    """Return an upper bound, as the table of bench_model has it."""
    return ["at most", limit]


def cpu(call: Callable[[], Any]) -> float:
    """Return the CPU seconds of a call."""
    before = time.process_time()
    call()
    return time.process_time() - before


def wall(call: Callable[[], Any], times: int) -> float:
    """Return the seconds of a call, on average of some in a row."""
    began = time.perf_counter()
    for _ in range(max(1, times)):
        call()
    return (time.perf_counter() - began) / max(1, times)
