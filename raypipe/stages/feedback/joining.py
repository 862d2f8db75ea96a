"""Joins what was asked with the labels that were told: by request and row, the latest wins."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raypipe.stages.feedback.reading import no_rows
from raypipe.values.feedback import SHOWN, Joined, LabelCounts, Logged
from raypipe.values.label import label_text
from raypipe.values.signature import Label


def joined(parts: Sequence[Logged], label: Label, columns: dict[str, str]) -> Joined:
    """Return all rows that were asked, oldest first, each with its label where one is known."""
    parts = parts or [no_rows(columns)]
    asked = pa.concat_tables(part.asked for part in parts)
    fields = pa.concat_tables(part.fields for part in parts)
    order = pa.array(_order(asked), pa.int64())
    asked, fields = asked.take(order), fields.take(order)
    places = _places(asked)
    found: list[str | None] = [None] * asked.num_rows
    told_at: list[float | None] = [None] * asked.num_rows
    replaced = 0
    unmatched: dict[tuple[str, int], str] = {}
    unfit: Counter[str] = Counter()
    every = [row for part in parts for row in part.labels.to_pylist()]
    for one in sorted(every, key=lambda row: (row["time"], row["id"])):
        text = label_text(one["label"], label)
        if text is None:
            unfit[str(one["label"])] += 1
            continue
        place = places.get((one["request"], one["row"]))
        if place is None:
            unmatched[one["request"], one["row"]] = one["request"]
            continue
        replaced += found[place] is not None
        found[place], told_at[place] = text, one["time"]
    counts = LabelCounts(
        told=len(every),
        joined=sum(text is not None for text in found),
        replaced=replaced,
        unmatched=len(unmatched),
        unfit=unfit.total(),
        waiting=sum(text is None for text in found),
        examples=tuple(dict.fromkeys(unmatched.values()))[:SHOWN],
        unfit_examples=tuple(unfit)[:SHOWN],
    )
    asked = asked.append_column("label", pa.array(found, pa.string()))
    asked = asked.append_column("told", pa.array(told_at, pa.float64()))
    return Joined(asked=asked.combine_chunks(), fields=fields.combine_chunks(), counts=counts)


def _order(asked: pa.Table) -> list[int]:
    """Return rows by their time, whatever part of the log they are from."""
    keys = list(
        zip(
            asked["time"].to_pylist(),
            asked["request"].to_pylist(),
            asked["row"].to_pylist(),
            strict=True,
        )
    )
    return sorted(range(len(keys)), key=keys.__getitem__)


def _places(asked: pa.Table) -> dict[tuple[str, int], int]:
    """Return where each row is, by our id of its request; else by the client's, the latest."""
    ours, clients = asked["request"].to_pylist(), asked["client"].to_pylist()
    rows = asked["row"].to_pylist()
    places = {
        (client, row): place
        for place, (client, row) in enumerate(zip(clients, rows, strict=True))
        if client
    }
    places |= {
        (request, row): place for place, (request, row) in enumerate(zip(ours, rows, strict=True))
    }
    return places


def scores_of(asked: pa.Table) -> NDArray[np.float64]:
    """Return the scores of rows that have some, [rows, scores of each]."""
    lists = asked["scores"].combine_chunks()
    flat: NDArray[np.float64] = lists.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(lists), -1) if len(lists) else flat.reshape(0, 1)
