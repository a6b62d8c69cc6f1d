"""The bots' part of the engine: requests in, answers, changes and balances out.

Rules of this file:
1. What bots are told is made at the end of a turn, from the fold as the turn leaves it; the pump
   performs it when the turn's lines are written.
2. A bot that misbehaves loses its key, and nobody else anything: its streaks suspend it alone.
"""

from collections.abc import Callable
from typing import Any

from daemon.core.amend_requests import Amends
from daemon.core.bots.admission import BotAdmission
from daemon.core.bots.bot_accounts import BotAccount
from daemon.core.bots.bot_requests import Requests
from daemon.core.bots.list_requests import ListRequests
from daemon.core.bots.list_rows import ListRows
from daemon.core.bots.money import Money
from daemon.core.bots.pending_answers import NOT_ATTEMPTED, TIMER, PendingAnswers
from daemon.core.bots.rows import Rows
from daemon.core.cancels import Cancels
from daemon.core.engine_config import BotSpec
from daemon.core.execution import DUPLICATE_ORDER
from daemon.core.latest_market import LatestMarket
from daemon.core.replaces import Replaces
from daemon.core.turn_context import TurnContext
from daemon.model import journal_records as journal
from daemon.model.amounts import plain
from daemon.model.bots import (
    BotDenial,
    BotKeyMisused,
    BotState,
    BotSwitched,
    BotThrottled,
    BotView,
    DenialSource,
    bot_of,
    bot_strategy,
)
from daemon.model.effects import BotBalances
from daemon.model.enums import ReportSource, Side
from daemon.model.ids import ClientOrderId
from daemon.model.inputs import (
    BalancesChanged,
    BotAmend,
    BotCancel,
    BotCancelAll,
    BotCancelList,
    BotPlace,
    BotPlaceList,
    BotReplace,
    Input,
    InstrumentsLoaded,
    NotSent,
    SnapshotTaken,
    TimerFired,
    VenueAmendReject,
    VenueCancelReject,
    VenueReject,
    VenueReport,
)
from daemon.model.orders import Order
from daemon.model.position import Balance
from daemon.model.records import EventType
from daemon.model.reports import CancelReject, Reject
from daemon.model.stop_triggers import StopTrigger
from riskcaps.words.order_kinds import STOP_TYPES, first_before

_GONE, _ACTIVE, _SUSPENDED = BotState.GONE, BotState.ACTIVE, BotState.SUSPENDED
_REPLY = ReportSource.REPLY
"""Looked up once: on Python 3.11 a look at a member of an enum costs as much as a call."""

_FORGET_EVERY = 500
ENGINE_NAME = "engine"


class Bots:
    """All bots of the configuration."""

    def __init__(
        self,
        ctx: TurnContext,
        market: LatestMarket,
        cancels: Cancels,
        amends: Amends,
        replaces: Replaces,
    ) -> None:
        """Share the desk."""
        self._ctx = ctx
        self._cancels = cancels
        self.specs: dict[str, BotSpec] = {spec.name: spec for spec in ctx.config.bots}
        self.money = Money(ctx, self.specs)
        self._rows = Rows(ctx)
        self._waiting = PendingAnswers(ctx, self._rows)
        admission = BotAdmission(ctx, market, self.money, self.specs)
        self.requests = Requests(
            ctx,
            admission,
            self._rows,
            self._waiting,
            cancels=cancels,
            amends=amends,
            replaces=replaces,
        )
        self._lists = ListRequests(ctx, admission, self.requests, self._rows, cancels)
        self._list_rows = ListRows(ctx, self._rows)
        self._hears: dict[type, Callable[[Any], object]] = {
            VenueReport: self._on_report,
            VenueReject: self._on_reject,
            VenueCancelReject: self._on_cancel_reject,
            VenueAmendReject: self._on_amend_reject,
            NotSent: self._on_not_sent,
            BalancesChanged: self._on_balances,
            SnapshotTaken: self._on_balances,
            InstrumentsLoaded: self._on_balances,
            TimerFired: self._on_timer,
        }
        self._told: dict[str, tuple[Balance, ...]] = {}
        self._stale = set(self.specs)
        """Bots whose balances may have changed since they were last told."""

    def begin(self) -> None:
        """First turn of a run: what recovery has folded is known, and nobody waits."""
        self._rows.begin()
        self._list_rows.begin()
        self._ctx.books.touched.clear()

    @property
    def handlers(self) -> dict[type, Callable[[Any], object]]:
        """What takes each input of a bot, for the engine's table."""
        requests = self.requests
        return {
            BotPlace: self._on_place,
            BotCancel: requests.cancel,
            BotCancelAll: requests.cancel_all,
            BotReplace: requests.replace,
            BotAmend: requests.amend,
            BotPlaceList: self._on_place_list,
            BotCancelList: self._lists.cancel,
            BotSwitched: self._on_switched,
            BotThrottled: self._on_throttled,
            BotKeyMisused: self._on_key_misused,
        }

    # ------------------------------------------------------------------ inputs
    def _on_place(self, item: BotPlace) -> None:
        self._welcome(item.bot)
        self.requests.place(item)

    def _on_place_list(self, item: BotPlaceList) -> None:
        self._welcome(item.bot)
        self._lists.place(item)

    def _welcome(self, bot: str) -> None:
        """A placement; whoever had been gone is back with it."""
        account = self._ctx.ledger.bots.of.get(bot)
        if account is not None and account.state is BotState.GONE and bot in self.specs:
            self._switch(bot, BotState.ACTIVE, "it is heard of again", ENGINE_NAME)

    def _on_switched(self, item: BotSwitched) -> None:
        """An operator's or the gateway's word on one bot."""
        self._switch(item.bot, item.state, item.reason, item.by, cancel=item.cancel)

    def _on_throttled(self, item: BotThrottled) -> None:
        """How much the gateway has kept away."""
        self._ctx.ledger.bots.throttle(item.bot, item.count)
        fields: journal.BotThrottledRecord = {
            "bot": item.bot,
            "count": item.count,
            "window_ms": item.window_ms,
        }
        self._ctx.record(EventType.BOT_THROTTLED, fields)

    def _on_key_misused(self, item: BotKeyMisused) -> None:
        """Whoever holds the venue's key needs no gateway: a human must look before orders go on."""
        self._ctx.trouble(StopTrigger.KEY_MISUSED, item.what, "", {"bot": item.bot})

    # ------------------------------------------------------------------ what others have handled
    def _on_report(self, item: VenueReport) -> None:
        if item.report.source is _REPLY:
            self._waiting.replied(item.report.client_order_id)

    def _on_reject(self, item: VenueReject) -> None:
        reject = item.reject
        denial = _by_venue(reject)
        if not reject.code and reject.reason == NOT_ATTEMPTED.msg:
            denial = NOT_ATTEMPTED
        if DUPLICATE_ORDER not in reject.reason:  # that one is in doubt, and queried
            self._refused(reject.client_order_id, denial)

    def _on_cancel_reject(self, item: VenueCancelReject) -> None:
        self._waiting.cancel_refused(item.reject.client_order_id, _by_venue(item.reject))

    def _on_amend_reject(self, item: VenueAmendReject) -> None:
        self._waiting.amend_refused(item.reject.client_order_id, _by_venue(item.reject))

    def _on_not_sent(self, item: NotSent) -> None:
        denial = BotDenial(source=DenialSource.LINK, reason="not_sent", msg=item.reason)
        if item.request == "place":
            self._refused(item.client_order_id, denial)
        elif item.request == "replace":
            self._waiting.cancel_refused(item.client_order_id, denial)
        elif item.request == "amend":
            self._waiting.amend_refused(item.client_order_id, denial)

    def _on_timer(self, item: TimerFired) -> None:
        if item.timer_id == TIMER:
            self._waiting.on_timer()

    def _on_balances(self, _: BalancesChanged | SnapshotTaken | InstrumentsLoaded) -> None:
        self._stale.update(self.specs)

    def _refused(self, client_order_id: ClientOrderId, denial: BotDenial) -> None:
        order = self._ctx.books.orders.get(client_order_id)
        if order is not None and order.bot_order_id:
            self._rows.reasons[client_order_id] = denial.msg or denial.reason
            self._waiting.refused(client_order_id, denial)

    # ------------------------------------------------------------------ the end of a turn
    def settle(self, item: Input) -> None:
        """Tell what the turn has changed: orders, answers, balances, and who is suspended.

        `item` is what the turn was about; others have handled it already.
        """
        if not self.specs:
            self._ctx.books.touched.clear()
            return
        hear = self._hears.get(type(item))
        if hear is not None:
            hear(item)
        ctx = self._ctx
        if ctx.misbehaved:
            stopped, ctx.misbehaved = ctx.misbehaved, []
            for name, why in stopped:
                self._switch(name, BotState.SUSPENDED, why, ENGINE_NAME, cancel=True)
        touched = ctx.books.touched
        if touched:
            orders = list(touched.values())
            touched.clear()
            ctx.effects.extend(self._list_rows.changes(orders))
            for order in orders:
                self._stale.add(bot_of(order.strategy_id) or "")
            self._waiting.settle(orders)
            self._rows.turn_over()
            self._suspend_whoever_must()
            if self._rows.remembered > 2 * ctx.config.orders_retained + _FORGET_EVERY:
                self._rows.forget_gone()
                self._list_rows.forget_gone()
        if self._stale:
            self._tell_balances()

    def _tell_balances(self) -> None:
        stale, self._stale = self._stale, set()
        for name, spec in self.specs.items():  # in one order, always
            if name not in stale:
                continue
            now, before = self.money.balances(spec), self._told.get(name, ())
            if now == before:
                continue
            changed = tuple([one for one in now if one not in before])
            if changed:
                self._told[name] = now
                self._ctx.effects.append(BotBalances(bot=name, rows=changed))

    def _suspend_whoever_must(self) -> None:
        for name, spec in self.specs.items():
            account = self._ctx.ledger.bots.of.get(name)
            if account is None or account.state not in (_ACTIVE, _GONE):
                continue
            if 0 < spec.reject_streak_max <= account.rejects:
                why = f"{account.rejects} faulty orders in a row"
            elif 0 < spec.loss_streak_max <= account.losses:
                why = f"{account.losses} orders in a row closed at a loss"
            else:
                continue
            self._switch(name, _SUSPENDED, why, ENGINE_NAME, cancel=True)

    # ------------------------------------------------------------------ switching
    def _switch(
        self, bot: str, state: BotState, reason: str, by: str, *, cancel: bool = False
    ) -> None:
        ctx = self._ctx
        account = ctx.ledger.bots.account(bot)
        if state is BotState.GONE and account.state is not BotState.ACTIVE:
            state, reason = account.state, account.reason  # silence lifts no suspension
        if account.state is BotState.REVOKED:
            state = BotState.REVOKED
        orders = self._to_cancel(bot, state) if cancel else []
        ctx.ledger.bots.switch(bot, state, reason)
        fields: journal.BotSwitchedRecord = {
            "bot": bot,
            "state": state.value,
            "reason": reason,
            "by": by,
            "cancel": cancel,
            "canceled": [order.client_order_id for order in orders],
        }
        ctx.record(EventType.BOT_SWITCHED, fields)
        for order in orders:
            self._cancels.want(order, f"{state.value}: {reason}")

    def _to_cancel(self, bot: str, state: BotState) -> list[Order]:
        """The bot's open orders; of one that is gone, those that protect its position may stay."""
        found = self._ctx.books.open_of(bot_strategy(bot))
        orders, spec = list(found.values()), self.specs.get(bot)
        if state is not BotState.GONE or spec is None or not spec.stops_stay:
            return orders
        account = self._ctx.ledger.bots.account(bot)
        room = {iid: one.qty for iid, one in account.positions.items()}
        chosen, kept = [], set[str]()
        for order in orders:
            left = room.get(order.instrument_id, order.qty * 0)
            mine = left if order.side is Side.SELL else -left
            is_pending = first_before(order.order_list) in found  # it protects nothing yet
            if order.order_type in STOP_TYPES and order.leaves_qty <= mine and not is_pending:
                taken = order.leaves_qty if order.side is Side.SELL else -order.leaves_qty
                room[order.instrument_id] = left - taken
                kept.add(order.order_list.list_id if order.order_list is not None else "")
            else:
                chosen.append(order)
        # To cancel the other leg of an OCO would end the stop that protects.
        return [o for o in chosen if o.order_list is None or o.order_list.list_id not in kept]

    # ------------------------------------------------------------------ looking
    def views(self) -> tuple[BotView, ...]:
        """All that each bot may see now."""
        books, accounts = self._ctx.books, self._ctx.ledger.bots
        found = []
        for name, spec in self.specs.items():
            account, mine = accounts.of.get(name) or BotAccount(), bot_strategy(name)
            orders = (order for order in books.orders.values() if order.strategy_id == mine)
            found.append(
                BotView(
                    bot=name,
                    state=account.state,
                    reason=account.reason,
                    symbols=spec.symbols,
                    orders=tuple(self._rows.row(order) for order in orders),
                    balances=self.money.balances(spec),
                    public_key=spec.public_key,
                )
            )
        return tuple(found)

    def status(self) -> dict[str, Any]:
        """Plain values for the operator, by bot; also bots of the journal that the config lost."""
        accounts = self._ctx.ledger.bots.of
        return {
            name: self._status_of(name, accounts.get(name) or BotAccount())
            for name in sorted({*self.specs, *accounts})
        }

    def _status_of(self, name: str, account: BotAccount) -> dict[str, Any]:
        spec = self.specs.get(name)
        balances = () if spec is None else self.money.balances(spec)
        return {
            "state": account.state.value,
            "reason": account.reason,
            "configured": spec is not None,
            "symbols": [] if spec is None else list(spec.symbols),
            "open_orders": len(self._ctx.books.open_of(bot_strategy(name))),
            "orders": account.orders,
            "fills": account.fills,
            "denied": dict(sorted(account.denied.items())),
            "refused": dict(sorted(account.refused.items())),
            "throttled": account.throttled,
            "reject_streak": account.rejects,
            "loss_streak": account.losses,
            "positions": account.told_positions(),
            "balances": {one.asset: [plain(one.free), plain(one.locked)] for one in balances},
        }


def _by_venue(reject: Reject | CancelReject) -> BotDenial:
    return BotDenial(
        source=DenialSource.VENUE, reason="refused", code=reject.code, msg=reject.reason
    )
