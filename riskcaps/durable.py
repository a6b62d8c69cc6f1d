"""What outlives the process: a plain state, and the same state folded from journal lines.

Rules of this file:
1. Holds, positions, windows, streaks, peaks and latches are durable. Prices, balances, filters,
   health and trading state are not: they are told again, and until then all is denied. Alert
   bands are not either: after a restart an alert that still holds is told once more.
2. `restore(state())` makes a twin: same state, same answers to the same questions.
3. The state is a fold of journalled facts only: a tick or a denied wish leaves it as it was, and
   windows are cut at the time of the last fact, so that a recovered gate equals its twin.
"""

from collections.abc import Mapping
from typing import Any

from daemon.model.amounts import ZERO, decimal_of
from daemon.model.enums import Side
from daemon.model.ids import ClientOrderId, ExecId, InstrumentId
from riskcaps.exposure import STOP_TYPES, SymbolBook
from riskcaps.holds import IN_FLIGHT, Hold
from riskcaps.keeper import Keeper

STATE_VERSION = 1
_STOPS = frozenset(str(kind) for kind in STOP_TYPES)


def state_of(keeper: Keeper) -> dict[str, Any]:
    """Everything durable, as plain JSON."""
    now_ns = keeper.fact_ns
    return {
        "version": STATE_VERSION,
        "fact_ns": now_ns,
        "ids": [keeper.ids.run, keeper.ids.counter],
        "books": {str(b.instrument_id): _book_state(b, now_ns) for b in _sorted(keeper)},
        "holds": {str(h.client_order_id): _hold_state(h) for h in keeper.holds.values()},
        "turnover": {
            asset: pairs
            for asset, account in sorted(keeper.accounts.items())
            if (pairs := account.traded.state(now_ns))
        },
        "fees_owed": {asset: str(fee) for asset, fee in sorted(keeper.fees_owed.items())},
        "orders": keeper.orders.state(now_ns),
        "cancels": keeper.cancels.state(now_ns),
        "executions": keeper.executions.state(now_ns),
        "behaviour": keeper.behaviour.state(now_ns),
        "equity": keeper.ledger.state(),
        "exec_ids": list(keeper.exec_ids),
    }


def _sorted(keeper: Keeper) -> list[SymbolBook]:
    return [keeper.books[key] for key in sorted(keeper.books)]


def _book_state(book: SymbolBook, now_ns: int) -> dict[str, Any]:
    return {
        "base": book.base,
        "quote": book.quote,
        "position": str(book.position),
        "cost": str(book.cost),
        "realised": str(book.realised),
        "fees_quote": str(book.fees_quote),
        "fees_since_sell": str(book.fees_since_sell),
        "blocked": book.blocked,
        "minute": book.minute.state(now_ns),
        "traded": book.traded.state(now_ns),
    }


def _hold_state(hold: Hold) -> dict[str, Any]:
    return {
        "instrument_id": str(hold.book.instrument_id),
        "is_buy": hold.is_buy,
        "is_stop": hold.is_stop,
        "leaves": str(hold.leaves),
        "px": str(hold.px),
        "phase": hold.phase,
        "reserved": hold.reserved,
        "realised": str(hold.realised),
        "reduced": hold.reduced,
    }


def restore(keeper: Keeper, state: Mapping[str, Any]) -> None:
    """Take a state back into a gate that has seen nothing yet."""
    if state.get("version") != STATE_VERSION:
        raise ValueError(f"caps state version {state.get('version')!r}, expected {STATE_VERSION}")
    keeper.fact(state["fact_ns"])
    run, counter = state["ids"]
    if run == keeper.ids.run:
        keeper.ids.counter = max(keeper.ids.counter, counter)
    for name, fields in state["books"].items():
        book = keeper.book(InstrumentId(name))
        _restore_book(book, fields)
        keeper.follow_position(book)
    keeper.rebuild_rates()
    for asset, pairs in state["turnover"].items():
        keeper.account(asset).traded.restore(pairs)
    keeper.fees_owed = {a: decimal_of(fee) for a, fee in state["fees_owed"].items()}
    keeper.orders.restore(state["orders"])
    keeper.cancels.restore(state["cancels"])
    keeper.executions.restore(state["executions"])
    keeper.behaviour.restore(state["behaviour"])
    keeper.ledger.restore(state["equity"])
    keeper.exec_ids = {ExecId(exec_id): None for exec_id in state["exec_ids"]}
    for name, fields in state["holds"].items():
        _restore_hold(keeper, ClientOrderId(name), fields)
    keeper.resume_equity()


def _restore_book(book: SymbolBook, fields: Mapping[str, Any]) -> None:
    book.base, book.quote = fields["base"], fields["quote"]
    book.position = decimal_of(fields["position"])
    book.cost = decimal_of(fields["cost"])
    book.realised = decimal_of(fields["realised"])
    book.fees_quote = decimal_of(fields["fees_quote"])
    book.note_traded()
    book.fees_since_sell = decimal_of(fields.get("fees_since_sell", "0"))
    book.blocked = fields["blocked"]
    book.worst = None
    book.forget_lanes()
    book.minute.restore(fields["minute"])
    book.traded.restore(fields["traded"])


def _restore_hold(
    keeper: Keeper, client_order_id: ClientOrderId, fields: Mapping[str, Any]
) -> None:
    hold = keeper.take_hold(
        client_order_id,
        keeper.book(InstrumentId(fields["instrument_id"])),
        is_buy=fields["is_buy"],
        is_stop=fields["is_stop"],
        qty=decimal_of(fields["leaves"]),
        px=decimal_of(fields["px"]),
        phase=fields["phase"],
        reserved=fields["reserved"],
    )
    hold.realised = decimal_of(fields["realised"])
    hold.reduced = fields["reduced"]


def restore_approved(keeper: Keeper, fields: Mapping[str, Any], ts_ns: int) -> None:
    """Fold an ORDER_APPROVED line; a second time it changes nothing while the order is open."""
    client_order_id = ClientOrderId(fields["client_order_id"])
    keeper.ids.saw(client_order_id)
    if client_order_id in keeper.holds:
        return
    now_ns = keeper.fact(ts_ns)
    book = keeper.book(InstrumentId(fields["instrument_id"]))
    is_buy = fields["side"] == Side.BUY
    qty = decimal_of(fields["qty"])
    told = fields["price"] or fields.get("stop_price")
    price = None if told is None else decimal_of(told)
    px = decimal_of(fields["decision"]["px"])
    is_stop = fields["order_type"] in _STOPS
    keeper.take_hold(
        client_order_id, book, is_buy=is_buy, is_stop=is_stop, qty=qty, px=px, phase=IN_FLIGHT
    )
    if not is_buy:
        book.fees_since_sell = ZERO
    keeper.count_attempt(book, (book.instrument_id, is_buy, price, qty), now_ns)
    keeper.sweep_due = True
