"""Requests that come at the same time are answered together: one call of the model for all.

Nobody waits for others to come: it is those that one turn of the event loop has read. A block of
rows costs a model little more than one row does, and a row's answer does not depend on the others.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from raypipe.stages.serving.asked import FEW, Asked
from raypipe.stages.serving.served import Answer


class Answers(Protocol):
    """What answers several requests at once."""

    def answers(self, asked: Sequence[Asked]) -> list[Answer]:
        """Return an answer for each."""
        ...


class Together:
    """Gathers the requests of a turn of the event loop, and has them answered."""

    def __init__(self, served: Answers) -> None:
        self._served = served
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []

    async def answer(self, asked: Asked) -> Answer:
        """Answer a request of a few rows; what fails for it is raised for it alone."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._answer_all)
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((asked, future))
        return await future

    def _answer_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        waiting = [(asked, future) for asked, future in waiting if not future.done()]
        rows, first = 0, 0
        for place, (asked, _) in enumerate(waiting):
            if rows + asked.rows > FEW and place > first:
                self._answer_some(waiting[first:place])
                rows, first = 0, place
            rows += asked.rows
        if waiting:
            self._answer_some(waiting[first:])

    def _answer_some(self, waiting: list[tuple[Asked, "asyncio.Future[Answer]"]]) -> None:
        try:
            answers = self._served.answers([asked for asked, _ in waiting])
        except Exception as error:
            if len(waiting) == 1:
                waiting[0][1].set_exception(error)
            else:  # one of them is at fault, and the others need not know
                for one in waiting:
                    self._answer_some([one])
            return
        for (_, future), answer in zip(waiting, answers, strict=True):
            future.set_result(answer)
