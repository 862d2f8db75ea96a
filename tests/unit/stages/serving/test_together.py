"""Requests of one turn of the event loop are one call of the model, and none harms another."""

import asyncio
from collections.abc import Sequence

import pyarrow as pa
import pytest

from raypipe.errors import UsageError
from raypipe.stages.serving.asked import FEW, Asked, together
from raypipe.stages.serving.served import Answer
from raypipe.stages.serving.together import Together
from raypipe.values.transform.reading import Read, joined, missing


def rows(*values: float) -> Asked:
    """A request for rows of one number."""
    return Asked(
        rows=len(values),
        columns={"x": list(values)},
        features=Read(num_rows=len(values), columns=[list(values)]),
    )


class Doubling:
    """Answers twice each number; a negative one it cannot."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        """Rows of each call."""

    def answers(self, asked: Sequence[Asked]) -> list[Answer]:
        self.calls.append(sum(one.rows for one in asked))
        if any(value < 0 for one in asked for value in one.columns["x"]):
            raise UsageError("a number is negative")
        return [
            Answer(outputs={"y": [2 * value for value in one.columns["x"]]}, unseen={})
            for one in asked
        ]


def ask_all(model: Doubling, *asked: Asked) -> list[Answer | BaseException]:
    """Ask for all at once, from as many tasks."""

    async def main() -> list[Answer | BaseException]:
        gathering = Together(model)
        return await asyncio.gather(*map(gathering.answer, asked), return_exceptions=True)

    return asyncio.run(main())


def outputs(answers: Sequence[Answer | BaseException]) -> list[list[float]]:
    """What was answered to each."""
    return [one.outputs["y"] for one in answers if isinstance(one, Answer)]


def test_requests_that_come_at_once_are_one_call() -> None:
    model = Doubling()
    answers = ask_all(model, rows(1), rows(2, 3), rows(4))
    assert outputs(answers) == [[2], [4, 6], [8]]
    assert model.calls == [4]


def test_one_alone_waits_for_no_other() -> None:
    model = Doubling()

    async def main() -> None:
        gathering = Together(model)
        for number in range(3):
            assert outputs([await gathering.answer(rows(number))]) == [[2 * number]]

    asyncio.run(main())
    assert model.calls == [1, 1, 1]


@pytest.mark.parametrize(
    ("sizes", "calls"),
    [
        ([FEW - 1, 1, 1], [FEW, 1]),
        ([FEW, FEW], [FEW, FEW]),
        ([3, FEW + 5, 3, 4], [3, FEW + 5, 7]),
        ([1] * (2 * FEW + 1), [FEW, FEW, 1]),
    ],
)
def test_a_call_takes_no_more_rows_than_cost_little(sizes: list[int], calls: list[int]) -> None:
    model = Doubling()
    asked = [rows(*range(size)) for size in sizes]
    answers = ask_all(model, *asked)
    assert outputs(answers) == [[2 * value for value in range(size)] for size in sizes]
    assert model.calls == calls


def test_what_fails_for_one_is_raised_for_it_alone() -> None:
    model = Doubling()
    answers = ask_all(model, rows(1), rows(-1), rows(3), rows(-2))
    assert outputs(answers) == [[2], [6]]
    assert [isinstance(one, UsageError) for one in answers] == [False, True, False, True]
    assert model.calls == [4, 1, 1, 1, 1]


def test_whoever_has_gone_away_is_not_answered() -> None:
    model = Doubling()

    async def main() -> list[Answer]:
        gathering = Together(model)
        gone = asyncio.ensure_future(gathering.answer(rows(1)))
        stays = asyncio.ensure_future(gathering.answer(rows(2)))
        asyncio.get_running_loop().call_soon(gone.cancel)
        answered = await stays
        await asyncio.wait([gone])
        assert gone.cancelled()
        return [answered]

    assert outputs(asyncio.run(main())) == [[4]]
    assert model.calls == [1]


def test_columns_go_one_below_the_other_in_whichever_form_they_are() -> None:
    assert joined([[1.5, None], [2.5]]) == [1.5, None, 2.5]
    array = pa.array([7, None], pa.int32())
    mixed = joined([[1], array])
    assert (mixed.to_pylist(), mixed.type) == ([1, 7, None], pa.int32())
    assert [missing(mixed, row) for row in range(3)] == [False, False, True]
    assert [missing([1, None], row) for row in range(2)] == [False, True]
    both = together([rows(1, 2), rows(3)])
    assert (both.num_rows, both.columns) == (3, [[1, 2, 3]])
