"""Requests that wait for the engine: registered before they are offered, answered from effects.

Rules of this file:
1. A waiter exists before its request leaves this thread, so no answer can come too early.
2. The row that is told is the newest that the fold has told, at the moment of the answer.
3. After the bot's patience the answer is "unknown"; what comes later goes to its user stream.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from daemon.model.bots import BotOrderRow
from daemon.model.copies import replace
from daemon.model.effects import BotAnswered, BotEffect, BotOrderChanged
from daemon.model.inputs import Input

Satisfied = Callable[[BotOrderRow], bool]
WAITING_MAX = 10_000


class PatienceOver(Exception):  # noqa: N818 - no error: nobody knows yet
    """Nothing definite came within the bot's patience."""


class TooManyWait(Exception):  # noqa: N818 - the request was not offered
    """So many requests wait that another is not taken: proof that it was not sent."""


class _Waiter(msgspec.Struct):
    bot: str
    satisfied: Satisfied | None
    future: asyncio.Future[None]
    """Done when `answer` tells all that was asked for, or the patience is over."""
    on_settled: Callable[[], None]
    answer: BotAnswered | None = None
    """The engine has answered, and the row does not yet tell all that was asked for."""


class RequestWaiters:
    """The requests of all bots that have no answer yet. Lives on the gateway's loop."""

    def __init__(self, offer: Callable[[Input], None]) -> None:
        """`offer` puts an input into the pump's queue, from this thread."""
        self._offer = offer
        self._waiters: dict[int, _Waiter] = {}
        self._late: OrderedDict[int, _Waiter] = OrderedDict()
        """Nobody waits any more, and the engine has not answered."""
        self._last = 0
        self.unknown = 0
        """How often the patience was over."""

    def __len__(self) -> int:
        return len(self._waiters)

    async def ask(
        self,
        bot: str,
        make: Callable[[int], Input],
        *,
        patience_s: float,
        satisfied: Satisfied | None = None,
        on_settled: Callable[[], None],
    ) -> BotAnswered:
        """Offer a request and wait for its answer; `make` gets its number.

        `satisfied`: whether a row tells all that was asked for; until then, or until the patience
        is over, the answer waits for later changes of the order. `on_settled`: called once when
        the engine has answered, also long after the patience.

        Raises:
            PatienceOver: the outcome is not known.
            TooManyWait: the request was not offered.
        """
        if len(self._waiters) >= WAITING_MAX:
            on_settled()
            raise TooManyWait
        self._last += 1
        request = self._last
        loop = asyncio.get_running_loop()
        waiter = _Waiter(bot, satisfied, loop.create_future(), on_settled)
        self._waiters[request] = waiter
        patience = loop.call_later(patience_s, _give_up, waiter.future)
        try:
            # The last thing before the wait: the main loop needs the interpreter from here on.
            self._offer(make(request))
            await waiter.future
            if waiter.answer is not None:
                return waiter.answer
            self.unknown += 1
            raise PatienceOver
        finally:
            patience.cancel()
            if waiter.answer is None:
                self._late[request] = waiter
                while len(self._late) > WAITING_MAX:
                    self._late.popitem(last=False)
            self._waiters.pop(request, None)

    def follow(self, effect: BotEffect) -> None:
        """An effect of the engine, in order."""
        if isinstance(effect, BotAnswered):
            self._answered(effect)
        elif isinstance(effect, BotOrderChanged):
            self._changed(effect.row)

    def _answered(self, answer: BotAnswered) -> None:
        waiter = self._waiters.get(answer.request) or self._late.pop(answer.request, None)
        if waiter is None or waiter.bot != answer.bot or waiter.answer is not None:
            return
        waiter.answer = answer
        waiter.on_settled()
        is_enough = (
            waiter.satisfied is None
            or answer.denial is not None
            or not answer.rows
            or waiter.satisfied(answer.rows[0])
        )
        if is_enough and not waiter.future.done():
            waiter.future.set_result(None)

    def _changed(self, row: BotOrderRow) -> None:
        for waiter in self._waiters.values():
            answer = waiter.answer
            if answer is None or not answer.rows or waiter.future.done():
                continue
            if answer.rows[0].own_id == row.own_id:
                waiter.answer = replace(answer, rows=(row,))
                if waiter.satisfied is None or waiter.satisfied(row):
                    waiter.future.set_result(None)


def _give_up(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
