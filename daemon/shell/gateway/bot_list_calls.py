"""What a bot may ask about order lists (binance-spot.md §14); answered as all its calls are."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from daemon.model.bots import BotOrderRow
from daemon.model.effects import BotAnswered
from daemon.model.enums import OrderType
from daemon.model.ids import InstrumentId
from daemon.model.inputs import BotPlace
from daemon.shell.gateway.gateway_rules import BotAsked, Counts
from daemon.shell.gateway.placement_doubts import PlacementDoubts, list_name
from daemon.shell.gateway.shared_cancels import SharedCancels
from daemon.shell.gateway.views import OwnView
from daemon.venues.binance_spot.serving.bot_forms import UNSERVED, list_cancel_input, list_input
from daemon.venues.binance_spot.serving.bot_rows import seen_fills, seen_list, seen_order
from daemon.venues.binance_spot.serving.dialect_errors import (
    DialectError,
    unknown_order,
    unknown_outcome,
)
from daemon.venues.binance_spot.serving.list_forms import LIST_CALLS, parse_list
from daemon.venues.binance_spot.serving.order_forms import response_type
from daemon.venues.binance_spot.serving.ranges import range_of
from daemon.venues.binance_spot.serving.refusals import refusal_of
from daemon.venues.binance_spot.serving.shown_rows import Row, canceled_row, list_row, placed_row
from daemon.venues.binance_spot.serving.units import ms_of


class CallsPart(Protocol):
    """What is the same for every call of a bot."""

    doubts: PlacementDoubts

    def view(self, asked: BotAsked) -> OwnView:
        """What the bot may see."""

    def instrument(self, asked: BotAsked) -> InstrumentId:
        """The instrument that a request names."""

    async def ask(self, asked: BotAsked, make: Callable[[int], Any]) -> BotAnswered:
        """Ask the engine and wait for its answer."""

    async def ask_named(
        self,
        asked: BotAsked,
        make: Callable[[int], Any],
        wishes: Sequence[BotPlace],
        *,
        list_id: str,
    ) -> BotAnswered:
        """Ask for orders."""


class BotListCalls:
    """Calls about lists, by the WebSocket API's names."""

    def __init__(
        self,
        calls: CallsPart,
        *,
        counts: Mapping[str, Counts],
        now_ns: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self._calls = calls
        self._counts = counts
        self._now_ns = now_ns
        self._new_id = new_id
        self._cancels = SharedCancels()
        self.handlers: Mapping[str, Callable[[BotAsked], Awaitable[object]]] = {
            **{name: partial(self._place, name) for name in LIST_CALLS if name not in UNSERVED},
            "orderList.cancel": self._cancel,
            "orderList.status": self._query,
            "openOrderLists.status": self._open_lists,
            "allOrderLists": self._all_lists,
        }

    async def _place(self, name: str, asked: BotAsked) -> object:
        params = asked.params
        form = parse_list(name, params)
        shown = response_type(params, OrderType.LIMIT)
        make = list_input(
            form,
            params,
            self._calls.instrument(asked),
            asked.bot.name,
            new_id=self._new_id,
            proof=asked.proof,
        )
        wish = make(0)
        answer = await self._calls.ask_named(asked, make, wish.orders, list_id=wish.list_id)
        if answer.denial is not None:
            raise refusal_of(answer.denial, self._now_ns(), places=True)
        view = self._calls.view(asked)
        rows = [view.newest(row) for row in answer.rows]
        if not rows or any(row.status is None for row in rows):
            raise unknown_outcome()
        for _ in rows:
            self._counts[asked.bot.name].order(asked.now_ns)
        reports = [
            placed_row(seen_order(row), seen_fills(row), shown, row.ts_placed_ns) for row in rows
        ]
        return list_row(seen_list(rows), reports)

    async def _cancel(self, asked: BotAsked) -> object:
        params, instrument = asked.params, self._calls.instrument(asked)
        make = list_cancel_input(params, instrument, asked.bot.name, cancel_id=self._new_id())
        names = "|".join(params.text(name) for name in ("orderListId", "listClientOrderId"))
        key = (asked.bot.name, instrument, f"l:{names}")
        return await self._cancels.once(key, lambda: self._cancel_now(asked, make))

    async def _cancel_now(self, asked: BotAsked, make: Callable[[int], Any]) -> object:
        answer = await self._calls.ask(asked, make)
        if answer.denial is not None:
            raise refusal_of(answer.denial, self._now_ns(), places=False)
        rows = self._calls.view(asked).list_of(answer.rows[0]) if answer.rows else []
        if not rows:
            raise unknown_order()
        return ended_list(rows)

    async def _query(self, asked: BotAsked) -> object:
        number, list_id = asked.params.order_key("orderListId", "origClientOrderId")
        rows = self._calls.view(asked).find_list(list_id, "" if number is None else str(number))
        if rows:
            return list_row(seen_list(rows))
        if self._calls.doubts.has(asked.bot.name, list_name(list_id)):
            raise unknown_outcome()
        raise DialectError(-2013, "Order list does not exist.")

    async def _open_lists(self, asked: BotAsked) -> object:
        found = [seen_list(rows) for rows in self._calls.view(asked).lists()]
        return [list_row(one) for one in found if not one.is_done]

    async def _all_lists(self, asked: BotAsked) -> object:
        bounds = range_of(asked.params, "fromId", id_excludes_times=True)
        rows = []
        for legs in self._calls.view(asked).lists():
            seen = seen_list(legs)
            if bounds.holds(seen.list_id, ms_of(min(leg.ts_placed_ns for leg in legs))):
                rows.append(list_row(seen))
        return list(bounds.cut(rows))


def ended_list(rows: Sequence[BotOrderRow]) -> Row:
    """The answer to the cancel of a list, or of one of its orders."""
    return list_row(seen_list(rows), [canceled_row(seen_order(row)) for row in rows])
