"""What outlives the process: a plain state, and the same state folded from journal lines.

Rules of this file:
1. Holds, positions, windows, streaks, peaks and latches are durable. Prices, balances, filters,
   health and trading state are not: they are told again, and until then all is denied. Alert
   bands are not either: after a restart an alert that still holds is told once more.
2. `restore(state())` makes a twin: same state, same answers to the same questions.
3. The state is a fold of journalled facts only: a tick or a denied wish leaves it as it was, and
   windows are cut at the time of the last fact, so that a recovered gate equals its twin.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from daemon.model.amounts import ZERO, decimal_of
from daemon.model.enums import Side
from daemon.model.ids import ClientOrderId, ExecId, InstrumentId
from daemon.model.list_legs import ListLeg
from daemon.model.plain_values import from_plain
from riskcaps.state.behaviour import duplicate_key
from riskcaps.state.holds import IN_FLIGHT, Hold
from riskcaps.state.risk_state import EXEC_IDS_KEPT, RiskState
from riskcaps.state.symbol_book import SymbolBook
from riskcaps.words.order_kinds import STOP_TYPES, bot_of, first_before, group_of

STATE_VERSION = 1
_HAPPENED = ("position", "cost", "realised", "fees_quote", "minute", "traded")
_STOPS = frozenset(str(kind) for kind in STOP_TYPES)


def state_of(risk: RiskState) -> dict[str, Any]:
    """Everything durable, as plain JSON."""
    now_ns = risk.fact_ns
    return {
        "version": STATE_VERSION,
        "fact_ns": now_ns,
        "ids": [risk.ids.run, risk.ids.counter],
        "books": {str(b.instrument_id): _book_state(b, now_ns) for b in _sorted(risk)},
        "holds": {str(h.client_order_id): _hold_state(h) for h in risk.books.holds.values()},
        **_awaited_state(risk),
        "turnover": {
            asset: pairs
            for asset, account in sorted(risk.books.accounts.items())
            if (pairs := account.traded.state(now_ns))
        },
        "fees_owed": {asset: str(fee) for asset, fee in sorted(risk.books.fees_owed.items())},
        "orders": risk.windows.orders.state(now_ns),
        "cancels": risk.windows.cancels.state(now_ns),
        "executions": risk.windows.executions.state(now_ns),
        "behaviour": risk.behaviour.state(now_ns),
        "equity": risk.ledger.state(),
        "exec_ids": list(risk.exec_ids)[-EXEC_IDS_KEPT:],
        **_bots_state(risk),
    }


def _awaited_state(risk: RiskState) -> dict[str, Any]:
    """What is pending behind what; nothing where nothing is, so that older states read the same."""
    rows = {
        str(first): [
            [str(hold.client_order_id) for hold in one.pending], one.has_begun, one.is_void,
        ]
        for first, one in risk.books.awaited.items()
    }  # fmt: skip
    return {"awaited": rows} if rows else {}


def _bots_state(risk: RiskState) -> dict[str, Any]:
    """What is of bots; nothing where there are none, so that older states read the same."""
    state: dict[str, Any] = {}
    if risk.bots.owners:
        state["owners"] = {str(name): bot for name, bot in risk.bots.owners.items()}
    if risk.bots.by_name:
        state["bots"] = {name: _bot_state(bot) for name, bot in sorted(risk.bots.by_name.items())}
    return state


def _bot_state(bot: RiskState) -> dict[str, Any]:
    """Of one bot. A book in which nothing ever happened may stem from a denied wish: no fact."""
    state = state_of(bot)
    books = {
        name: book
        for name, book in state["books"].items()
        if any(book[key] not in ("0", []) for key in _HAPPENED)
    }
    return {**state, "books": books, "day_result": bot.day_result.state()}


def _sorted(risk: RiskState) -> list[SymbolBook]:
    return [risk.books.by_id[key] for key in sorted(risk.books.by_id)]


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
        "instrument_id": str(hold.instrument_id),
        "is_buy": hold.is_buy,
        "is_stop": hold.is_stop,
        "leaves": str(hold.leaves),
        "px": str(hold.px),
        "phase": hold.phase,
        "reserved": hold.reserved,
        "realised": str(hold.realised),
        "reduced": hold.reduced,
        **({"group": hold.group} if hold.group else {}),
    }


def restore(risk: RiskState, state: Mapping[str, Any]) -> None:
    """Take a state back into a gate that has seen nothing yet."""
    if state.get("version") != STATE_VERSION:
        raise ValueError(f"caps state version {state.get('version')!r}, expected {STATE_VERSION}")
    risk.fact(state["fact_ns"])
    run, counter = state["ids"]
    if run == risk.ids.run:
        risk.ids.counter = max(risk.ids.counter, counter)
    for name, fields in state["books"].items():
        book = risk.books.book(InstrumentId(name))
        _restore_book(book, fields)
        risk.books.follow(book)
    risk.books.rebuild_rates()
    for asset, pairs in state["turnover"].items():
        risk.books.account(asset).traded.restore(pairs)
    risk.books.fees_owed = {a: decimal_of(fee) for a, fee in state["fees_owed"].items()}
    risk.windows.orders.restore(state["orders"])
    risk.windows.cancels.restore(state["cancels"])
    risk.windows.executions.restore(state["executions"])
    risk.behaviour.restore(state["behaviour"])
    risk.ledger.restore(state["equity"])
    risk.exec_ids = {ExecId(exec_id): None for exec_id in state["exec_ids"]}
    for name, fields in state["holds"].items():
        _restore_hold(risk, ClientOrderId(name), fields)
    for first, (pending, has_begun, is_void) in state.get("awaited", {}).items():
        holds = [risk.books.holds[name] for name in pending]
        risk.books.wait(ClientOrderId(first), *holds, has_begun=has_begun, is_void=is_void)
    risk.valuation.resume()
    owners = state.get("owners", {}).items()
    risk.bots.owners = OrderedDict((ClientOrderId(name), bot) for name, bot in owners)
    for name, part in state.get("bots", {}).items():
        if name in risk.bots.by_name:  # the configuration may have lost it since
            restore(risk.bots.by_name[name], part)
            risk.bots.by_name[name].day_result.restore(part["day_result"])


def _restore_book(book: SymbolBook, fields: Mapping[str, Any]) -> None:
    book.base, book.quote = fields["base"], fields["quote"]
    book.position = decimal_of(fields["position"])
    book.cost = decimal_of(fields["cost"])
    book.realised = decimal_of(fields["realised"])
    book.fees_quote = decimal_of(fields["fees_quote"])
    book.note_traded()
    book.fees_since_sell = decimal_of(fields.get("fees_since_sell", "0"))
    book.blocked = fields["blocked"]
    book.change_terms()
    book.minute.restore(fields["minute"])
    book.traded.restore(fields["traded"])


def _restore_hold(
    risk: RiskState, client_order_id: ClientOrderId, fields: Mapping[str, Any]
) -> None:
    hold = risk.books.take_hold(
        client_order_id,
        risk.books.book(InstrumentId(fields["instrument_id"])),
        is_buy=fields["is_buy"],
        is_stop=fields["is_stop"],
        qty=decimal_of(fields["leaves"]),
        px=decimal_of(fields["px"]),
        phase=fields["phase"],
        reserved=fields["reserved"],
    )
    risk.books.join_list(hold, fields.get("group", ""), None)
    hold.realised = decimal_of(fields["realised"])
    hold.reduced = fields["reduced"]


def restore_approved(risk: RiskState, fields: Mapping[str, Any], ts_ns: int) -> None:
    """Fold an ORDER_APPROVED line; a second time it changes nothing while the order is open."""
    client_order_id = ClientOrderId(fields["client_order_id"])
    risk.ids.saw(client_order_id)
    if client_order_id in risk.books.holds:
        return
    now_ns = risk.fact(ts_ns)
    book = risk.books.book(InstrumentId(fields["instrument_id"]))
    is_buy = fields["side"] == Side.BUY
    qty = decimal_of(fields["qty"])
    told = fields["price"] or fields.get("stop_price")
    price = None if told is None else decimal_of(told)
    px = decimal_of(fields["decision"]["px"])
    is_stop = fields["order_type"] in _STOPS
    listed = fields.get("order_list")
    leg = None if listed is None else from_plain(ListLeg, listed)
    hold = risk.books.take_hold(client_order_id, book, is_buy, is_stop, qty, px, IN_FLIGHT)
    first = first_before(leg) if "cover" in fields["decision"] else None  # as it was decided
    risk.books.join_list(hold, group_of(leg), first)
    if not is_buy:
        book.fees_since_sell = ZERO
    sender = fields.get("strategy_id", "")
    key = duplicate_key(book.instrument_id, bot_of(sender), price, qty, is_buy=is_buy)
    risk.count_attempt(book, key, now_ns)
    bot = risk.bots.own(client_order_id, sender, risk.books.holds)
    if bot is not None:
        bot.books.twin_of(book)
        restore_approved(bot, fields, ts_ns)
    risk.alerts.ask_for_sweep()
