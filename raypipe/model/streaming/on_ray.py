"""Pieces read and transformed by Ray Data, while the worker trains on those before."""

from collections.abc import Iterator, Sequence
from typing import Any

import ray
import ray.data

from raypipe.model.rows.on_ray import quietly
from raypipe.model.streaming.source import Arrays, Piece, Source

AHEAD = 2
"""Batches of a piece that are fetched before they are asked for."""
TASKS = 2
"""Pieces that a worker has in the making at once. What asks for no CPU knows no other bound: Ray
would start a process for each piece."""


def read_by_data(source: Source, split: str, pieces: Sequence[Piece]) -> Iterator[Arrays]:
    """Yield the rows of pieces, in the order given, each read and transformed by a task.

    The tasks ask for no CPU: the workers that train hold them all, and would wait for ever for
    rows that wait for a CPU.
    """
    if not pieces:
        return
    given = ray.put(source)
    with quietly():
        numbers = ray.data.from_items(
            [{"piece": number} for number in range(len(pieces))], override_num_blocks=len(pieces)
        )
        rows = numbers.map_batches(
            _read,
            fn_kwargs={"source": given, "split": split, "pieces": tuple(pieces)},
            batch_size=1,
            batch_format="numpy",
            num_cpus=0,
            compute=ray.data.TaskPoolStrategy(size=TASKS),
        )
        for batch in rows.iter_batches(
            batch_size=None, batch_format="numpy", prefetch_batches=AHEAD
        ):
            yield dict(batch)


def _read(
    batch: dict[str, Any], *, source: Any, split: str, pieces: tuple[Piece, ...]
) -> Iterator[Arrays]:
    held: Source = ray.get(source) if isinstance(source, ray.ObjectRef) else source
    for number in batch["piece"]:
        yield from held.read(pieces[int(number)], split)
