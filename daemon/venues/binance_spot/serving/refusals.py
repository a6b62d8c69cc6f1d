"""What a denial is called in the venue's protocol, so that the bots' libraries understand it.

Rules of this file:
1. A reason of the caps that has no documented words is -2010 with ours; the bots' own rules have
   a row each (a test walks both lists).
2. Documented wording stays exact, because clients match it. Ours follows it, or stands alone,
   after `seatrial:`.
3. Nothing that was not sent is answered as if it might have been: a placement gets no 5xx.

`docs/gateway-refusals.md` is made from this table (tests/architecture/test_gateway_refusals.py).
"""

from collections.abc import Iterable, Mapping

import msgspec

from daemon.model.bots import BotDenial, BotRefusal, DenialSource
from daemon.venues.binance_spot.serving import dialect_errors
from daemon.venues.binance_spot.serving.dialect_errors import DialectError

_NOT_SHOWN = frozenset({"instrument", "strategy_id"})
"""What a bot knows already, or need not know."""
_S_MS = 1_000


class Wording(msgspec.Struct, frozen=True):
    """How one reason is told."""

    code: int
    text: str = ""
    """Documented words; empty: ours alone."""
    status: int = 400
    is_exact: bool = False
    """The documented words say all; nothing of ours follows them."""
    retry_ms: int = 0
    """After how long trying again makes sense (Retry-After)."""


def _exact(error: DialectError) -> Wording:
    return Wording(error.code, error.msg, error.status, is_exact=True)


def _filter(name: str) -> Wording:
    return _exact(dialect_errors.filter_failure(name))


def _rate(seconds: int) -> Wording:
    return Wording(-1015, "Too many new orders.", 429, retry_ms=seconds * _S_MS)


_CAP = Wording(-2010)
_DISABLED = Wording(-2010, dialect_errors.disabled().msg)
_INVALID_SYMBOL = _exact(dialect_errors.invalid_symbol())
_NO_BALANCE = _exact(dialect_errors.insufficient_balance())
_UNKNOWN_ORDER = _exact(dialect_errors.unknown_order())
_AMEND = Wording(-2038)

WORDED: Mapping[str, Wording] = {
    "halt_flag_closed": _DISABLED,
    "trading_halted": _DISABLED,
    "journal_unhealthy": _DISABLED,
    "clock_unknown": _DISABLED,
    "clock_stale": _DISABLED,
    "clock_drift": _DISABLED,
    "symbol_not_allowed": _INVALID_SYMBOL,
    "instrument_unknown": _INVALID_SYMBOL,
    "symbol_not_trading": _exact(dialect_errors.market_closed()),
    "executions_need_human": _DISABLED,
    "venue_reject_streak": _DISABLED,
    "loss_streak": _DISABLED,
    "filter_price": _filter("PRICE_FILTER"),
    "filter_tick": _filter("PRICE_FILTER"),
    "filter_qty": _filter("LOT_SIZE"),
    "filter_lot": _filter("LOT_SIZE"),
    "filter_iceberg": _filter("ICEBERG_PARTS"),
    "filter_trailing": _filter("TRAILING_DELTA"),
    "filter_notional": _filter("NOTIONAL"),
    "filter_percent_price": _filter("PERCENT_PRICE_BY_SIDE"),
    "filter_orders_open": _filter("MAX_NUM_ORDERS"),
    "filter_position": _filter("MAX_POSITION"),
    "filter_amends": _AMEND,
    "filter_asset": _filter("MAX_ASSET"),
    "balance_insufficient": _NO_BALANCE,
    "orders_per_second": _rate(1),
    "orders_per_minute": _rate(10),
    "orders_per_hour": _rate(60),
    "orders_per_day": _rate(600),
    "orders_per_minute_symbol": _rate(10),
    "messages_per_second": _rate(1),
    "messages_per_minute": _rate(10),
    "venue_budget": _rate(10),
    "equity_unknown": _DISABLED,
    "loss_session": _DISABLED,
    "loss_day": _DISABLED,
    "drawdown": _DISABLED,
    "cancels_per_second": _rate(1),
    "order_not_open": _UNKNOWN_ORDER,
    "amend_not_smaller": _AMEND,
    "not_owner": _UNKNOWN_ORDER,
}
"""By the reason of the caps (`riskcaps.words.denials.DenyReason`); any other is `_CAP`."""
BOT_RULES: Mapping[BotRefusal, Wording] = {
    BotRefusal.DUPLICATE_ORDER_ID: _exact(dialect_errors.duplicate_order()),
    BotRefusal.UNKNOWN_BOT: _exact(dialect_errors.not_permitted()),
    BotRefusal.UNKNOWN_SYMBOL: _INVALID_SYMBOL,
    BotRefusal.SUSPENDED: _DISABLED,
    BotRefusal.REVOKED: _DISABLED,
    BotRefusal.ORDER_NOT_FOUND: _UNKNOWN_ORDER,
    BotRefusal.ALLOTMENT_EXCEEDED: _NO_BALANCE,
    BotRefusal.NO_PRICE: _CAP,
    BotRefusal.MALFORMED: _CAP,
    BotRefusal.IN_PROGRESS: _CAP,
    BotRefusal.NO_LINK: _DISABLED,
    BotRefusal.LIST_PENDING: Wording(
        -1020,
        "This operation is not supported. seatrial: an order of its list waits for another",
        is_exact=True,
    ),
}
"""By the reason of the bots' own rules, before the caps."""
_LIMITED = frozenset({-1003, -1015, -1034})
_OF_OUR_KEY = frozenset({-1002, -1021, -1022, -2014, -2015})
"""About the daemon's key, signature or clock: told as they are, a bot would doubt its own."""
_RETRY_AFTER_VENUE_MS = 10 * _S_MS
NOT_SENT = "not sent"


def refusal_of(denial: BotDenial, now_ns: int, *, places: bool) -> DialectError:
    """The venue's error for a denial; `places`: the request was for a new order."""
    if denial.source is DenialSource.VENUE:
        return _of_venue(denial, now_ns)
    if denial.source is DenialSource.LINK:
        if places:
            return _told(_DISABLED, f"{NOT_SENT}: {denial.msg or denial.reason}", now_ns)
        return try_again()
    if denial.source is DenialSource.DOOR:
        wording = BOT_RULES[BotRefusal(denial.reason)]
    else:
        wording = WORDED.get(denial.reason, _CAP)
    facts = [f"{name}={value}" for name, value in denial.context.items() if name not in _NOT_SHOWN]
    return _told(wording, " ".join([denial.reason, *facts, denial.msg]).strip(), now_ns)


def try_again() -> DialectError:
    """-1001 (503) for a cancel or amend that could not leave: repeating it does no harm."""
    words = "Internal error; unable to process your request. Please try again."
    return DialectError(-1001, words, 503)


def refusals_table(reasons: Iterable[str]) -> str:
    """The tables of docs/gateway-refusals.md; `reasons`: every one that the caps give."""
    head = "| reason | status | code | text |\n|---|---|---|---|\n"
    caps = "".join(_line(reason, WORDED.get(reason, _CAP)) for reason in reasons)
    rules = "".join(_line(reason, wording) for reason, wording in BOT_RULES.items())
    keys = ", ".join(str(code) for code in sorted(_OF_OUR_KEY, reverse=True))
    limits = ", ".join(str(code) for code in sorted(_LIMITED, reverse=True))
    own = f"`{_DISABLED.text} seatrial: …`"
    return (
        f"### The caps\n\n{head}{caps}\n"
        f"### The bots' own rules\n\n{head}{rules}\n"
        "### What the venue itself refuses, and what cannot be sent\n\n"
        "| what | status | code | text |\n|---|---|---|---|\n"
        f"| {limits} | 429 | the same | the venue's own |\n"
        f"| {keys} (about the daemon's key or clock) | 400 | -2010 | {own} |\n"
        "| any other | 400 | the same | the venue's own |\n"
        f"| a placement that did not leave | 400 | -2010 | {own} |\n"
        "| a cancel or amend that did not leave | 503 | -1001 | `"
        f"{try_again().msg}` |\n"
    )


def _of_venue(denial: BotDenial, now_ns: int) -> DialectError:
    if denial.code in _OF_OUR_KEY:
        return _told(_DISABLED, f"the venue refuses the daemon ({denial.code})", now_ns)
    if denial.code in _LIMITED:
        wording = Wording(
            denial.code, denial.msg, 429, is_exact=True, retry_ms=_RETRY_AFTER_VENUE_MS
        )
        return _told(wording, "", now_ns)
    return DialectError(denial.code, denial.msg)


def _told(wording: Wording, own: str, now_ns: int) -> DialectError:
    text = wording.text if wording.is_exact else f"{wording.text} seatrial: {own}".strip()
    data: dict[str, object] | None = None
    if wording.retry_ms:
        data = {"retryAfter": now_ns // 1_000_000 + wording.retry_ms}
    return DialectError(wording.code, text, wording.status, data)


def _line(reason: str, wording: Wording) -> str:
    text = wording.text if wording.is_exact else f"{wording.text} seatrial: {reason} …".strip()
    return f"| `{reason}` | {wording.status} | {wording.code} | `{text}` |\n"
