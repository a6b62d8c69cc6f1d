"""What a bot may ask, over REST and the WebSocket API alike: one function a call.

Rules of this file:
1. Orders go to the engine and are answered from its effects; reads are answered from the bot's own
   view, and cost the venue nothing.
2. The row that is told is the newest that the fold has told.
3. What could leave a doubt is said as a doubt (-1007), never as "there is no such order".
"""

from binascii import b2a_base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from os import urandom
from typing import Any, Protocol

import orjson

from daemon.model.bots import BotOrderRow
from daemon.model.copies import replace
from daemon.model.effects import BotAnswered
from daemon.model.enums import OrderType, TimeInForce
from daemon.model.ids import ClientOrderId, InstrumentId, instrument_id
from daemon.model.inputs import BotCancelAll, BotPlace
from daemon.shell.gateway.bot_list_calls import BotListCalls, ended_list
from daemon.shell.gateway.gateway_rules import BotAsked, Counts
from daemon.shell.gateway.placement_doubts import PlacementDoubts, list_name
from daemon.shell.gateway.public import no_answer
from daemon.shell.gateway.public_market import PublicReply, PublicRequestFailed
from daemon.shell.gateway.request_waiters import (
    PatienceOver,
    RequestWaiters,
    Satisfied,
    TooManyWait,
)
from daemon.shell.gateway.shared_cancels import SharedCancels
from daemon.shell.gateway.views import OwnView, Views, is_ended, is_whole
from daemon.venues.binance_spot.serving.account_rows import account_row
from daemon.venues.binance_spot.serving.bot_forms import (
    amend_input,
    cancel_input,
    place_input,
    replace_input,
)
from daemon.venues.binance_spot.serving.bot_rows import (
    seen_balances,
    seen_fill,
    seen_fills,
    seen_list,
    seen_order,
)
from daemon.venues.binance_spot.serving.dialect_errors import (
    DialectError,
    no_such_order,
    not_supported,
    unknown_order,
    unknown_outcome,
)
from daemon.venues.binance_spot.serving.order_forms import (
    ResponseType,
    parse_amend,
    parse_cancel,
    parse_place,
    parse_replace,
    response_type,
)
from daemon.venues.binance_spot.serving.ranges import range_of, trade_range_of
from daemon.venues.binance_spot.serving.refusals import refusal_of
from daemon.venues.binance_spot.serving.shown_rows import (
    Row,
    amended_row,
    canceled_row,
    list_row,
    order_row,
    placed_row,
    replaced_row,
    trade_row,
)
from daemon.venues.binance_spot.serving.units import ms_of

_URL_SAFE = str.maketrans("+/", "-_")


class AccountData(Protocol):
    """The link's side: signed questions about the account that tell of no order."""

    def get(self, path: str, symbol: str) -> Awaitable[PublicReply]:
        """`account/commission` or `myFilters` of one symbol."""


Handler = Callable[[BotAsked], Awaitable[object]]


def _nobody_minds() -> None:
    """Nothing depends on when it is settled."""


class BotCalls:
    """Lives on the gateway's loop."""

    def __init__(
        self,
        *,
        environment: str,
        views: Views,
        waiting: RequestWaiters,
        account: AccountData,
        counts: Mapping[str, Counts],
        now_ns: Callable[[], int],
    ) -> None:
        self._environment = environment
        self._views = views
        self._waiting = waiting
        self._account = account
        self._counts = counts
        self._now_ns = now_ns
        self._cancels = SharedCancels()
        self._execution_id = 0
        self.doubts = PlacementDoubts()
        self.handlers: Mapping[str, Handler] = {
            "order.place": self._place,
            "order.test": self._test,
            "order.status": self._query,
            "order.cancel": self._cancel,
            "order.cancelReplace": self._replace,
            "order.amend.keepPriority": self._amend,
            "openOrders.status": self._open_orders,
            "openOrders.cancelAll": self._cancel_open,
            "allOrders": self._all_orders,
            "myTrades": self._my_trades,
            "myAllocations": self._nothing,
            "account.status": self._account_status,
            "account.commission": partial(self._of_account, "account/commission"),
            "account.rateLimits.orders": self._order_counts,
            "myFilters": partial(self._of_account, "myFilters"),
            **BotListCalls(self, counts=counts, now_ns=now_ns, new_id=invented_id).handlers,
        }

    # ------------------------------------------------------------------ orders
    async def _place(self, asked: BotAsked) -> object:
        params = asked.params
        form = parse_place(params)
        shown = response_type(params, form.type)
        make = place_input(
            form,
            params,
            self.instrument(asked),
            asked.bot.name,
            client_order_id=invented_id(),
            proof=asked.proof,
        )
        wish = make(0)
        numbered = partial(_numbered, wish)
        answer = await self.ask_named(asked, numbered, [wish], _told(wish, shown))
        if answer.denial is not None:
            raise refusal_of(answer.denial, self._now_ns(), places=True)
        return self._placed(asked, answer, shown)

    async def _test(self, asked: BotAsked) -> object:
        if asked.params.flag("computeCommissionRates"):
            raise not_supported()
        form = parse_place(asked.params)
        response_type(asked.params, form.type)
        instrument = self.instrument(asked)
        answer = await self.ask(
            asked,
            place_input(
                form,
                asked.params,
                instrument,
                asked.bot.name,
                client_order_id=invented_id(),
                is_test=True,
            ),
        )
        if answer.denial is not None:
            raise refusal_of(answer.denial, self._now_ns(), places=True)
        return {}

    async def _cancel(self, asked: BotAsked) -> object:
        form = parse_cancel(asked.params)
        instrument = self.instrument(asked)
        make = cancel_input(form, instrument, asked.bot.name, cancel_id=invented_id())
        order_id = "" if form.order_id is None else str(form.order_id)
        found = self.view(asked).find(instrument, form.client_order_id, order_id)
        if (
            found is not None
            and is_ended(found)
            and not self.doubts.may_be_newer(asked.bot.name, found)
        ):
            raise unknown_order()
        key = (asked.bot.name, instrument, order_id or f"c:{form.client_order_id}")
        return await self._cancels.once(key, lambda: self._cancel_now(asked, make))

    async def _cancel_now(self, asked: BotAsked, make: Callable[[int], Any]) -> object:
        answer = await self.ask(asked, make)
        if answer.denial is not None:
            raise refusal_of(answer.denial, self._now_ns(), places=False)
        return self._canceled(asked, self._newest(asked, answer))

    def _canceled(self, asked: BotAsked, row: BotOrderRow) -> Row:
        """An order's report; of one in a list the list's: canceling one cancels all."""
        rows = self.view(asked).list_of(row)
        return ended_list(rows) if rows else canceled_row(seen_order(row))

    async def _cancel_open(self, asked: BotAsked) -> object:
        instrument = self.instrument(asked)
        answer = await self.ask(
            asked,
            lambda request: BotCancelAll(
                bot=asked.bot.name, request=request, instrument_id=instrument
            ),
        )
        if answer.denial is not None:
            raise refusal_of(answer.denial, self._now_ns(), places=False)
        if not answer.rows:
            raise unknown_order()
        view = self.view(asked)
        alone = [view.newest(row) for row in answer.rows if row.order_list is None]
        listed = {row.order_list.list_id: row for row in answer.rows if row.order_list is not None}
        return [self._canceled(asked, row) for row in (*alone, *listed.values())]

    async def _amend(self, asked: BotAsked) -> object:
        form = parse_amend(asked.params)
        answer = await self.ask(asked, amend_input(form, self.instrument(asked), asked.bot.name))
        if answer.denial is not None:
            raise refusal_of(answer.denial, self._now_ns(), places=False)
        row = self._newest(asked, answer)
        legs = self.view(asked).list_of(row)
        listed = list_row(seen_list(legs)) if legs else None
        return amended_row(seen_order(row), row.client_order_id, self.next_execution_id(), listed)

    async def _replace(self, asked: BotAsked) -> object:
        params, name = asked.params, asked.bot.name
        form = parse_replace(params)
        make = replace_input(
            form,
            params,
            self.instrument(asked),
            name,
            client_order_id=invented_id(),
            cancel_id=invented_id(),
            proof=asked.proof,
        )
        wish = make(0).place
        answer = await self.ask_named(asked, make, [wish], _told(wish, form.shown))
        return self._replaced(asked, answer, form.shown)

    def _replaced(self, asked: BotAsked, answer: BotAnswered, shown: ResponseType) -> object:
        canceled: Row | DialectError
        if answer.cancel_row is not None:
            canceled = canceled_row(seen_order(self.view(asked).newest(answer.cancel_row)))
        elif answer.cancel_denial is not None:
            canceled = refusal_of(answer.cancel_denial, self._now_ns(), places=False)
        elif answer.denial is not None:  # refused whole, before anything was asked of the venue
            raise refusal_of(answer.denial, self._now_ns(), places=True)
        else:
            raise unknown_outcome()
        placed: Row | DialectError | None = None
        if answer.rows:
            placed = self._placed(asked, answer, shown)
        elif answer.denial is not None:
            placed = refusal_of(answer.denial, self._now_ns(), places=True)
        return replaced_row(canceled, placed)

    def _placed(self, asked: BotAsked, answer: BotAnswered, shown: ResponseType) -> Row:
        row = self._newest(asked, answer)
        self._counts[asked.bot.name].order(asked.now_ns)
        at_ns = row.ts_placed_ns or row.ts_updated_ns
        return placed_row(seen_order(row), seen_fills(row), shown, at_ns)

    # ------------------------------------------------------------------ reads of its own
    async def _query(self, asked: BotAsked) -> object:
        order_id, client_id = asked.params.order_key()
        found = self.view(asked).find(
            self.instrument(asked), client_id, "" if order_id is None else str(order_id)
        )
        if (
            order_id is None
            and found is not None
            and self.doubts.may_be_newer(asked.bot.name, found)
        ):
            raise unknown_outcome()
        if found is None and not self.doubts.has(asked.bot.name, client_id):
            raise no_such_order()
        if found is None or found.status is None:
            raise unknown_outcome()
        return order_row(seen_order(found))

    async def _open_orders(self, asked: BotAsked) -> object:
        instrument = self.instrument(asked) if asked.params.text("symbol") else None
        return [order_row(seen_order(row)) for row in self.view(asked).open_orders(instrument)]

    async def _all_orders(self, asked: BotAsked) -> object:
        found = self.view(asked).orders(self.instrument(asked))
        bounds = range_of(asked.params, "orderId")
        chosen = [
            row
            for row in found
            if bounds.holds(int(row.venue_order_id or 0), ms_of(row.ts_placed_ns))
        ]
        return [order_row(seen_order(row)) for row in bounds.cut(chosen)]

    async def _my_trades(self, asked: BotAsked) -> object:
        bounds, order_id = trade_range_of(asked.params)
        found = [
            (row, fill)
            for row, fill in self.view(asked).fills(self.instrument(asked))
            if bounds.holds(fill.trade_id, ms_of(fill.ts_venue_ns))
            and (order_id is None or row.venue_order_id == str(order_id))
        ]
        return [trade_row(seen_fill(row, fill)) for row, fill in bounds.cut(found)]

    async def _account_status(self, asked: BotAsked) -> object:
        rates = await self._commission(asked.bot.symbols[0])
        view = self.view(asked)
        return account_row(
            seen_balances(view.balances()),
            maker_ppm=_ppm(rates["maker"]),
            taker_ppm=_ppm(rates["taker"]),
            can_trade=asked.bot.can_trade,
            updated_ns=view.updated_ns,
            uid=0,
            omit_zero=asked.params.flag("omitZeroBalances"),
        )

    async def _of_account(self, path: str, asked: BotAsked) -> object:
        self.instrument(asked)
        return await self._signed_answer(path, asked.params.symbol())

    async def _order_counts(self, asked: BotAsked) -> object:
        return self._counts[asked.bot.name].order_rows(asked.now_ns)

    async def _nothing(self, asked: BotAsked) -> object:
        """A bot has no lists and no allocations: none is served."""
        if asked.params.text("symbol"):
            self.instrument(asked)
        return []

    # ------------------------------------------------------------------ shared
    def next_execution_id(self) -> int:
        """A number for each thing that happens to an order; the venue's own is not told to us."""
        self._execution_id += 1
        return self._execution_id

    def view(self, asked: BotAsked) -> OwnView:
        """What the bot may see."""
        return self._views[asked.bot.name]

    def _newest(self, asked: BotAsked, answer: BotAnswered) -> BotOrderRow:
        if not answer.rows:
            raise unknown_outcome()
        row = self.view(asked).newest(answer.rows[0])
        if row.status is None:
            raise unknown_outcome()
        return row

    def instrument(self, asked: BotAsked) -> InstrumentId:
        """The instrument that a request names.

        Raises:
            DialectError: -1121 where it is none of the bot's.
        """
        symbol = asked.params.symbol()
        if symbol not in asked.bot.symbols:
            raise DialectError(-1121, "Invalid symbol.")
        return instrument_id(symbol, self._environment)

    async def ask(
        self,
        asked: BotAsked,
        make: Callable[[int], Any],
        satisfied: Satisfied | None = None,
        on_settled: Callable[[], None] = _nobody_minds,
    ) -> BotAnswered:
        """Ask the engine and wait for its answer.

        Raises:
            DialectError: -1007 when nothing is known, -2010 when it was not asked.
        """
        try:
            return await self._waiting.ask(
                asked.bot.name,
                make,
                patience_s=asked.bot.patience_s,
                satisfied=satisfied,
                on_settled=on_settled,
            )
        except PatienceOver:
            raise unknown_outcome() from None
        except TooManyWait:
            raise busy() from None

    async def ask_named(
        self,
        asked: BotAsked,
        make: Callable[[int], Any],
        wishes: Sequence[BotPlace],
        satisfied: Satisfied | None = None,
        *,
        list_id: str = "",
    ) -> BotAnswered:
        """Ask for orders; until the engine has answered, their ids are in doubt, not absent."""
        view = self.view(asked)
        ids: dict[str, ClientOrderId | None] = {}
        for wish in wishes:
            before = view.find(wish.instrument_id, wish.client_order_id, "")
            ids[wish.client_order_id] = None if before is None else before.own_id
        if list_id:
            ids[list_name(list_id)] = None
        return await self.ask(asked, make, satisfied, self.doubts.begin(asked.bot.name, ids))

    async def _commission(self, symbol: str) -> Mapping[str, str]:
        told = await self._signed_answer("account/commission", symbol)
        found: Mapping[str, str] = told["standardCommission"]
        return found

    async def _signed_answer(self, path: str, symbol: str) -> Any:
        try:
            reply = await self._account.get(path, symbol)
        except PublicRequestFailed as error:
            raise no_answer(error) from None
        return orjson.loads(reply.body)


def busy() -> DialectError:
    """Too many requests wait for the engine: proof that this one was not sent."""
    return DialectError(-2010, "This action is disabled on this account. seatrial: busy, not sent")


def invented_id() -> str:
    """A client order id for a request that has none, as the venue would invent one."""
    return b2a_base64(urandom(16), newline=False)[:22].decode().translate(_URL_SAFE)


def _numbered(wish: BotPlace, request: int) -> BotPlace:
    """The placement under its number: made once, looked at, and numbered when it is offered."""
    return replace(wish, request=request)


def _told(wish: BotPlace, shown: ResponseType) -> Satisfied:
    """Whether a row tells all that the answer to this placement shows."""
    is_at_once = wish.order_type is OrderType.MARKET or wish.time_in_force in {
        TimeInForce.IOC,
        TimeInForce.FOK,
    }
    if shown is ResponseType.ACK:
        return lambda row: row.status is not None
    if is_at_once:
        return lambda row: is_ended(row) and is_whole(row)
    return lambda row: row.status is not None and is_whole(row)


def _ppm(rate: str) -> int:
    """Parts per million of a commission rate."""
    return int(Decimal(rate) * 1_000_000)
