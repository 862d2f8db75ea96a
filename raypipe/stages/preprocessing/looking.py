"""What a profile does not tell of a shard's train rows: words and how often, brightness of images.

A look is a table of counts, so that looks merge in any order: `what` is a word, or of an image
group a sum of pixels.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.runtime.imports import importing_from
from raypipe.stages.preprocessing.questions import Brightness, Question, Words
from raypipe.stages.preprocessing.reading import read_shard
from raypipe.values.dataset import Shard
from raypipe.values.split import SPLITS, SplitRule, rule_columns, split_of
from raypipe.values.transform.image_part import pixels_of, rows_of
from raypipe.values.transform.text_part import joined_texts
from raypipe.values.transform.tokenizing import words_of

LOOK = pa.schema([("question", pa.int32()), ("what", pa.string()), ("count", pa.int64())])
"""Of a look: the number of the question, what was counted, and how often it is there."""


MOST_WORDS = 500_000
"""Different words of a question that are kept of a shard, and of all: the most frequent ones. Where
there are more, as where each row has a name of its own, rare ones are counted too low."""


def answers(
    questions: Sequence[Question], looks: Sequence[pa.Table]
) -> dict[Question, dict[str, int]]:
    """Return what was counted in all shards for each question."""
    counted = merged(looks)
    return {
        one: counted[place] if place < len(counted) else {} for place, one in enumerate(questions)
    }


def look_at_shard(
    shard: Shard, questions: Sequence[Question], rule: SplitRule, paths: tuple[str, ...] = ()
) -> pa.Table:
    """Answer questions from the train rows of a shard; the same rows give the same table."""
    counts: list[Counter[str]] = [Counter() for _ in questions]
    columns = {name for question in questions for name in question.columns}
    with importing_from(paths):
        start = 0
        for rows in read_shard(shard, {*columns, *rule_columns(rule)}):
            places = np.flatnonzero(split_of(rows, rule) == SPLITS.index("train"))
            train = rows.take(places)
            for question, count in zip(questions, counts, strict=True):
                with rows_of(shard.path, start + places):
                    _look(train, question, count)
                if len(count) > 2 * MOST_WORDS:
                    _keep_most(count)
            start += rows.num_rows
    for count in counts:
        _keep_most(count)
    return pa.Table.from_pylist(
        [
            {"question": number, "what": what, "count": count[what]}
            for number, count in enumerate(counts)
            for what in sorted(count)
        ],
        schema=LOOK,
    )


def _keep_most(count: Counter[str]) -> None:
    """Drop all but the most frequent; of equal ones the first as text stay."""
    if len(count) > MOST_WORDS:
        kept = sorted(count.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_WORDS]
        count.clear()
        count.update(dict(kept))


def merged(looks: Sequence[pa.Table]) -> list[dict[str, int]]:
    """Return how often each thing is there in all shards, by question."""
    table, held = LOOK.empty_table(), list[pa.Table]()
    for number, look in enumerate(looks, 1):
        held.append(look)
        if number == len(looks) or sum(one.num_rows for one in held) > 4 * MOST_WORDS:
            table = _summed([table, *held])
            held.clear()
    highest = pc.max(table["question"]).as_py()
    found: list[dict[str, int]] = [{} for _ in range(0 if highest is None else highest + 1)]
    for row in zip(*(table[name].to_pylist() for name in LOOK.names), strict=True):
        found[row[0]][row[1]] = row[2]
    return found


def _summed(looks: Sequence[pa.Table]) -> pa.Table:
    """Return looks as one, of each question the most frequent."""
    table = pa.concat_tables(looks).group_by(["question", "what"], use_threads=False)
    summed = table.aggregate([("count", "sum")]).rename_columns(LOOK.names)
    if summed.num_rows <= MOST_WORDS:
        return summed
    summed = summed.sort_by(
        [("question", "ascending"), ("count", "descending"), ("what", "ascending")]
    )
    numbers = summed["question"].to_numpy()
    place = np.arange(len(numbers)) - np.searchsorted(numbers, numbers)
    return summed.filter(pa.array(place < MOST_WORDS))


def _look(train: pa.Table, question: Question, counts: Counter[str]) -> None:
    match question:
        case Words():
            columns = [train[name].cast(pa.string()).combine_chunks() for name in question.columns]
            counts.update(words_of(joined_texts(columns), lowercase=question.lowercase))
        case Brightness():
            for what, count in _sums(train, question):
                counts[what] += count


def _sums(train: pa.Table, question: Brightness) -> Iterator[tuple[str, int]]:
    """Yield whole sums of pixels from 0 to 255 and of their squares, which merge exactly."""
    (name,) = question.columns
    for row, content in enumerate(train[name]):
        pixels = pixels_of(content, name, row, question)
        if pixels is not None:
            flat = pixels.reshape(question.channels, -1).astype(np.int64)
            yield "pixels", flat.shape[1]
            for channel, values in enumerate(flat):
                yield f"sum {channel}", int(values.sum())
                yield f"squares {channel}", int((values * values).sum())


def mean_and_std(counts: Mapping[str, int], channels: int) -> list[tuple[float, float]]:
    """Return (mean, standard deviation) of each channel, of values from 0 to 1.

    (0, 1) where there is no image; a channel of one colour is divided by 1.
    """
    pixels = counts.get("pixels", 0)
    found = []
    for channel in range(channels if pixels else 0):
        total, squares = counts[f"sum {channel}"], counts[f"squares {channel}"]
        spread = (squares * pixels - total * total) ** 0.5 / pixels / 255
        found.append((total / pixels / 255, spread or 1.0))
    return found or [(0.0, 1.0)] * channels
