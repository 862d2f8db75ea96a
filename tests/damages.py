"""Ways in which data goes bad, each by the name under which validation must find it.

A damage is given a public table whose second half is new, and returns that half damaged; None where
the table has nothing that can be damaged in this way.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.config.data import HashSplit
from raypipe.values.split import split_of
from tests.public_data import Public, by_column


@dataclass(frozen=True, kw_only=True)
class Damaged:
    """A table damaged, and the anomaly that must be found: its kind, and its column."""

    table: Public
    kind: str
    column: str = ""


Damage = Callable[[Public], Damaged | None]
MANY = 400_000


def frame_of(table: Public) -> pd.DataFrame:
    return table.second.to_pandas()


def with_second(table: Public, frame: pd.DataFrame) -> Public:
    return replace(table, second=pa.Table.from_pandas(frame, preserve_index=False))


def columns_of(table: Public, kind: str) -> list[str]:
    """Return the features of a kind: numbers of many values, or names of two to thirty."""
    own = {table.data.label, table.data.time, *table.data.key}
    names: list[str] = []
    for field in table.first.schema:
        if field.name in own:
            continue
        distinct = pc.count_distinct(table.first[field.name]).as_py()
        number = pa.types.is_floating(field.type) or pa.types.is_integer(field.type)
        text = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        if (kind == "number" and number and distinct > 20) or (
            kind == "name" and text and 2 <= distinct <= 30
        ):
            names.append(field.name)
    return names


def features_of(table: Public) -> list[str]:
    own = (table.data.label, table.data.time, *table.data.key)
    return [name for name in table.first.column_names if name not in own]


def names_of(table: Public) -> list[str]:
    """Return the columns of few names, the label last."""
    values = table.second[table.data.label]
    few = "string" in str(values.type) and pc.count_distinct(values).as_py() <= 30
    return columns_of(table, "name") + ([table.data.label] if few else [])


ALIKE = ("affairs", "health")
"""Tables whose rows have few values, and are equal to one another by nature."""


def unit_change(table: Public) -> Damaged | None:
    """Centimetres where there were inches."""
    frame, names = frame_of(table), columns_of(table, "number")
    wide = [
        n for n in names if frame[n].min() > 0 and frame[n].quantile(0.9) > 1.1 * frame[n].min()
    ]
    if not wide:
        return None
    changed = with_second(table, frame.assign(**{wide[0]: 2.54 * frame[wide[0]]}))
    return Damaged(table=changed, kind="unit", column=wide[0])


def swapped_columns(table: Public) -> Damaged | None:
    """Two columns that changed places, of other sizes."""
    frame, names = frame_of(table), columns_of(table, "number")
    for one in names:
        for other in names:
            a, b = frame[one].dropna(), frame[other].dropna()
            if a.quantile(0.9) < b.quantile(0.1):
                changed = frame.assign(**{one: frame[other], other: frame[one]})
                first, second = sorted((one, other), key=list(frame.columns).index)
                return Damaged(
                    table=with_second(table, changed),
                    kind="swapped_columns",
                    column=f"{first}, {second}",
                )
    return None


def shifted_code(table: Public) -> Damaged | None:
    """Codes that count from another number."""
    frame = frame_of(table)
    for name in frame.columns.difference([table.data.label, *table.data.key], sort=False):
        whole = pd.api.types.is_numeric_dtype(frame[name]) and (frame[name].dropna() % 1 == 0).all()
        if whole and 3 <= frame[name].nunique() <= 20 and frame[name].std() < 1.8:
            return Damaged(
                table=with_second(table, frame.assign(**{name: frame[name] + 1})),
                kind="unit",
                column=name,
            )
    return None


def misread_text(table: Public) -> Damaged | None:
    """Text in UTF-8 that was read as Latin-1."""
    frame = frame_of(table)
    for field in table.second.schema:
        if pa.types.is_large_string(field.type) or pa.types.is_string(field.type):
            if (
                field.name == table.data.label
                or not frame[field.name].str.contains("a").mean() > 0.5
            ):
                continue
            text = frame[field.name].str.replace("a", "á").str.replace("e", "é")
            broken = text.map(lambda t: t.encode().decode("latin-1"), na_action="ignore")
            changed = with_second(table, frame.assign(**{field.name: broken}))
            return Damaged(table=changed, kind="encoding", column=field.name)
    return None


def nulls_that_appear(table: Public) -> Damaged | None:
    """One value in six that was not sent."""
    frame, names = frame_of(table), features_of(table)
    holes = frame[names[0]].where(np.arange(len(frame)) % 6 != 0)
    return Damaged(
        table=with_second(table, frame.assign(**{names[0]: holes})), kind="nulls", column=names[0]
    )


def renamed_category(table: Public) -> Damaged | None:
    """The commonest name written in another way."""
    frame, names = frame_of(table), names_of(table)
    if not names:
        return None
    common = frame[names[0]].mode()[0]
    renamed = frame[names[0]].replace(common, f"{common.upper()}_2")
    return Damaged(
        table=with_second(table, frame.assign(**{names[0]: renamed})),
        kind="renamed_category",
        column=names[0],
    )


def new_category(table: Public) -> Damaged | None:
    """One row in eight says that it does not know."""
    frame, names = frame_of(table), names_of(table)
    if not names:
        return None
    other = frame[names[0]].where(np.arange(len(frame)) % 8 != 0, "unknown")
    return Damaged(
        table=with_second(table, frame.assign(**{names[0]: other})),
        kind="unseen_category",
        column=names[0],
    )


def placeholder(table: Public) -> Damaged | None:
    """A number that stands for none."""
    frame, names = frame_of(table), columns_of(table, "number")
    if not names:
        return None
    filled = frame[names[-1]].astype(float).where(np.arange(len(frame)) % 20 != 0, -99_999.0)
    return Damaged(
        table=with_second(table, frame.assign(**{names[-1]: filled})),
        kind="range",
        column=names[-1],
    )


def text_for_numbers(table: Public) -> Damaged | None:
    """Numbers with a unit, as text."""
    frame, names = frame_of(table), columns_of(table, "number")
    if not names:
        return None
    text = frame[names[0]].map(lambda x: f"{x} kg", na_action="ignore")
    return Damaged(
        table=with_second(table, frame.assign(**{names[0]: text})), kind="type", column=names[0]
    )


def constant_column(table: Public) -> Damaged | None:
    """A sensor that stands still."""
    frame, names = frame_of(table), columns_of(table, "number")
    if not names:
        return None
    still = frame.assign(**{names[0]: frame[names[0]].dropna().iloc[0]})
    return Damaged(table=with_second(table, still), kind="constant_column", column=names[0])


def missing_column(table: Public) -> Damaged | None:
    """A column that is no longer sent."""
    frame = frame_of(table)
    name = features_of(table)[-1]
    dropped = with_second(table, frame.drop(columns=name))
    return Damaged(table=dropped, kind="missing_column", column=name)


def new_column(table: Public) -> Damaged | None:
    """A column that nobody spoke of."""
    frame = frame_of(table)
    return Damaged(
        table=with_second(table, frame.assign(extra=np.arange(len(frame)) % 7)),
        kind="new_column",
        column="extra",
    )


def leaked_label(table: Public) -> Damaged | None:
    """The answer among the questions, under another name."""
    frame = frame_of(table)
    label = frame[table.data.label]
    few = label.nunique() <= 50 and (label.dtype.kind not in "f" or (label.dropna() % 1 == 0).all())
    if few and label.dtype.kind != "f":
        told = label.map({value: f"c{n}" for n, value in enumerate(sorted(label.unique()))})
    elif label.dtype.kind in "if":
        told = 2.2 * label + 3
    else:
        return None
    changed = with_second(table, frame.assign(outcome=told))
    return Damaged(table=changed, kind="target_leakage", column="outcome")


def lost_slice(table: Public) -> Damaged | None:
    """The rows of one name never arrived."""
    frame, names = frame_of(table), names_of(table)
    if not names:
        return None
    kept = frame[frame[names[0]] != frame[names[0]].mode()[0]]
    if len(kept) < 50:
        return None
    return Damaged(table=with_second(table, kept), kind="drift", column=names[0])


def dominated_slice(table: Public) -> Damaged | None:
    """All rows of one name were given one label."""
    frame, label = frame_of(table), table.data.label
    if frame[label].dtype.kind == "f":
        return None
    names = [name for name in features_of(table) if 2 <= frame[name].nunique() <= 10]
    for name in names:
        for value, rows in frame.groupby(name):
            common = rows[label].value_counts(normalize=True)
            if len(rows) >= 40 and 1 < len(common) <= 50 and common.iloc[0] < 0.7:
                told = frame[label].where(frame[name] != value, common.index[0])
                changed = with_second(table, frame.assign(**{label: told}))
                return Damaged(table=changed, kind="dominance", column=name)
    return None


def rows_written_twice(table: Public) -> Damaged | None:
    """One row in four is there once more, under another key."""
    frame = frame_of(table)
    if table.name in ALIKE:
        return None
    again = frame.sample(frac=0.25, random_state=0)
    again = again.assign(row=np.arange(len(again)) + MANY)
    return Damaged(table=with_second(table, pd.concat([frame, again])), kind="duplicate_rows")


def repeated_keys(table: Public) -> Damaged | None:
    """Two rows of one key."""
    frame = frame_of(table)
    rows = frame["row"].where(np.arange(len(frame)) != 3, frame["row"].iloc[2])
    return Damaged(
        table=with_second(table, frame.assign(row=rows)), kind="duplicate_key", column="row"
    )


def copies_in_analysis(table: Public) -> Damaged | None:
    """Rows of the train split stand in the analysis split as well."""
    frame = frame_of(table)
    if table.name in ALIKE:
        return None
    train = frame[split_of(table.second, table.data.split) == 0]
    keys = pa.table({"row": np.arange(MANY, MANY + 40 * len(frame))})
    sealed = keys["row"].to_numpy()[split_of(keys, HashSplit(columns=("row",))) == 2]
    again = train.sample(n=len(frame) // 5, random_state=0)
    copies = again.assign(row=sealed[: len(again)])
    return Damaged(table=with_second(table, pd.concat([frame, copies])), kind="duplicates_across")


def conflicting_labels(table: Public) -> Damaged | None:
    """One row in ten was labelled twice, and not alike."""
    frame, label = frame_of(table), table.data.label
    if table.name in ALIKE or frame[label].nunique() > 30 or frame[label].dtype.kind == "f":
        return None
    again = frame.sample(frac=0.1, random_state=0)
    kinds = sorted(frame[label].unique())
    other = again[label].map({kind: kinds[n - 1] for n, kind in enumerate(kinds)})
    again = again.assign(**{label: other, "row": np.arange(len(again)) + MANY})
    return Damaged(
        table=with_second(table, pd.concat([frame, again])),
        kind="conflicting_labels",
        column=label,
    )


def near_texts(table: Public) -> Damaged | None:
    """One text in five was sent once more with a word changed."""
    frame = frame_of(table)
    if "said" not in frame:
        return None
    again = frame.sample(frac=0.2, random_state=0)
    text = again["said"].str.replace(r"^\w+", "Likewise", regex=True)
    again = again.assign(said=text, row=np.arange(len(again)) + MANY)
    return Damaged(
        table=with_second(table, pd.concat([frame, again])), kind="near_duplicates", column="said"
    )


def time_travel(table: Public) -> Damaged | None:
    """Rows of the train split that lie after those that it is judged by."""
    time = table.data.time
    if time is None:
        return None
    both = [part.to_pandas() for part in (table.first, table.second)]
    moments = pd.concat([part[time] for part in both])
    begins = [moments.quantile(share) for share in (0.7, 0.85)]

    def parted(frame: pd.DataFrame) -> pd.DataFrame:
        places = np.add.reduce([frame[time] >= begin for begin in begins], dtype=int)
        names = np.array(["train", "validation", "analysis"])
        return frame.assign(split=names[places])

    first, second = map(parted, both)
    late = second[second["split"] == "analysis"].index[::10]
    second.loc[late, "split"] = "train"
    damaged: dict[str, Any] = {
        "first": pa.Table.from_pandas(first, preserve_index=False),
        "second": pa.Table.from_pandas(second, preserve_index=False),
        "data": by_column(table.data),
    }
    return Damaged(table=replace(table, **damaged), kind="time_leakage", column=time)


DAMAGES: tuple[Damage, ...] = (
    unit_change,
    swapped_columns,
    shifted_code,
    misread_text,
    nulls_that_appear,
    renamed_category,
    new_category,
    placeholder,
    text_for_numbers,
    constant_column,
    missing_column,
    new_column,
    leaked_label,
    lost_slice,
    dominated_slice,
    rows_written_twice,
    repeated_keys,
    copies_in_analysis,
    conflicting_labels,
    near_texts,
    time_travel,
)
