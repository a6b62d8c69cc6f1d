"""The third scope of the table: what binds the orders of one bot, beyond what binds the account.

Rules of this file:
1. An order of a bot passes the whole table over the account first. Then the same rows, but for the
   venue's filters and the balance, are walked a second time over the bot's own caps, orders, fills
   and windows; health and market are the account's.
2. A bot is measured by its own orders alone: another bot's count in the account's rows, never here.
3. Its loss of the day is realised since 00:00 UTC and what its positions would lose now; of session
   and drawdown a bot has none.
"""

from decimal import Decimal
from typing import Any

from daemon.model.amounts import ZERO
from daemon.model.enums import Side
from daemon.model.orders import NewOrder
from riskcaps.gate.gate_inputs import DecisionInputs, inputs_of
from riskcaps.gate.rule import Case, Denial, Rule
from riskcaps.gate.table import STEPS, reaches_first
from riskcaps.state.behaviour import duplicate_key
from riskcaps.state.holds import IN_FLIGHT
from riskcaps.state.risk_state import RiskState
from riskcaps.state.symbol_book import SymbolBook
from riskcaps.words.capset import PORTFOLIO_CAPS
from riskcaps.words.explain import CapUsage
from riskcaps.words.order_kinds import STOP_TYPES, bot_of, first_before, group_of

_OF_THE_ACCOUNT = frozenset((*range(24, 32), 42, 43))
"""The venue's filters and the balance: they are the account's, and were asked."""
_CALLS = tuple(
    step.check if isinstance(step, Rule) else step
    for step in STEPS
    if not isinstance(step, Rule) or step.number not in _OF_THE_ACCOUNT
)
_LOSS = "loss_day_numeraire_max"
PARTS = (
    "standing", "position", "buys_open", "sells_open", "own_px", "orders_open", "others",
    "attempts", "cancels", "symbol_minute", "executions", "turnover", "traded_qty", "duplicate_ns",
)  # fmt: skip
"""What a decision records under `bot`: the bot's own of each; the rest is the account's."""


def bot_denial(
    account: RiskState, bot: RiskState, given: DecisionInputs
) -> tuple[Denial | None, dict[str, Any]]:
    """Why a bot's own caps forbid an order that the account's let pass, and what was known of it.

    `given`: the account's inputs, with the quantity and the price that the table has arrived at.
    """
    intent, now_ns = given.intent, given.now_ns
    bot.advance(now_ns)
    _follow_market(account, bot, account.books.by_id[intent.instrument_id])
    loss = bot.day_result.loss(bot.books, now_ns)
    bot.ledger.take_loss_of_day(loss)
    book = bot.books.by_id[intent.instrument_id]
    mine = inputs_of(bot, book, intent, now_ns)
    mine.cover = given.cover
    case = Case(bot, mine, book)
    case.qty = given.qty
    denial = reaches_first(case, _CALLS)
    plain = mine.plain()
    known = {part: plain[part] for part in PARTS}
    if "covered" in plain or given.buys_covered or given.sells_covered:
        known["covered"] = plain.get("covered", ["0", "0"])
    return denial, known


def _follow_market(account: RiskState, bot: RiskState, asked: SymbolBook) -> None:
    """Filters, tops and last prices of what the bot holds and asks for, as the account has them."""
    for theirs in (asked, *(account.books.by_id[one] for one in bot.books.active)):
        mine = bot.books.twin_of(theirs)
        if theirs.top is not None and (mine.top, mine.top_ns) != (theirs.top, theirs.top_ns):
            mine.set_top(theirs.top, theirs.top_ns)
            mine.mark_bid, mine.mark_ask = theirs.mark_bid, theirs.mark_ask
        if (mine.last, mine.last_ns) != (theirs.last, theirs.last_ns):
            mine.set_last(theirs.last or ZERO, theirs.last_ns)


def usage_of_bots(account: RiskState, now_ns: int) -> dict[str, list[CapUsage]]:
    """By bot, the caps of its own table that fill up, with what is used of them.

    It only reads: amounts are valued at the market of the bot's last decision.
    """
    found: dict[str, list[CapUsage]] = {}
    for name, bot in sorted(account.bots.by_name.items()):
        table = account.capset.bots[name]
        used = {(use.cap, use.symbol): use for use in bot.usage(now_ns)}
        loss = bot.day_result.loss(bot.books, now_ns)
        if loss is not None:
            spec, limit = PORTFOLIO_CAPS[_LOSS], bot.capset.loss_day_numeraire_max
            used[_LOSS, ""] = CapUsage(_LOSS, "", max(loss, ZERO), limit, spec.unit, spec.clauses)
        found[name] = [
            use
            for (cap, symbol), use in used.items()
            if (f"symbols.{symbol}.{cap}" if symbol else cap) in table
        ]
    return found


def hold_for(bot: RiskState, order: NewOrder, px: Decimal) -> None:
    """Hold an approved order against the bot's own caps too."""
    book, is_buy = bot.books.by_id[order.instrument_id], order.side is Side.BUY
    bot.fact(order.ts_ns)
    hold = bot.books.take_hold(
        order.client_order_id,
        book,
        is_buy,
        order.order_type in STOP_TYPES,
        order.qty,
        px,
        IN_FLIGHT,
    )
    bot.books.join_list(hold, group_of(order.order_list), first_before(order.order_list))
    if not is_buy:
        book.fees_since_sell = ZERO
    price = order.stop_price if order.price is None else order.price
    owner = bot_of(order.strategy_id)
    key = duplicate_key(order.instrument_id, owner, price, order.qty, is_buy=is_buy)
    bot.count_attempt(book, key, order.ts_ns)
