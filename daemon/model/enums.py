"""The closed lists of the house, in FIX spelling. Values are what the journal shows."""

from enum import StrEnum


class Side(StrEnum):
    """FIX Side (54)."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> "Side":
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """FIX OrdType (40), in Binance Spot's names (binance-spot.md §5)."""

    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"
    MARKET = "MARKET"
    STOP_LOSS = "STOP_LOSS"
    STOP_LOSS_LIMIT = "STOP_LOSS_LIMIT"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"


class TimeInForce(StrEnum):
    """FIX TimeInForce (59)."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class OrderStatus(StrEnum):
    """Our view of one order. DENIED wishes never become orders, so DENIED is not here.

    UNKNOWN: sent, and no answer yet proves what the venue did. It is neither yes nor no.
    """

    APPROVED = "APPROVED"
    SUBMITTED = "SUBMITTED"
    ACCEPTED = "ACCEPTED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    PENDING_REPLACE = "PENDING_REPLACE"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"

    def __init__(self, text: str) -> None:
        self.is_terminal = text in {"FILLED", "CANCELED", "EXPIRED", "REJECTED"}
        """Whether no further report is expected (late fills still happen: core/lifecycle.py).
        An attribute of each member: it is asked many times a turn."""


class VenueOrderStatus(StrEnum):
    """What the venue says of one order when asked (FIX OrdStatus 39)."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    UNRECOGNISED = "UNRECOGNISED"
    """A status that this build does not know: unknown, reconcile."""


class ExecType(StrEnum):
    """FIX ExecType (150): why the venue sent a report."""

    NEW = "NEW"
    TRADE = "TRADE"
    CANCELED = "CANCELED"
    REPLACED = "REPLACED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    TRADE_PREVENTION = "TRADE_PREVENTION"
    STATUS = "STATUS"
    """An answer to a question (query, openOrders), not an event of its own."""


class LiquidityFlag(StrEnum):
    """FIX LastLiquidityInd (851)."""

    MAKER = "MAKER"
    TAKER = "TAKER"
    NONE = "NONE"


class ReportSource(StrEnum):
    """Which route a report came by."""

    STREAM = "stream"
    REPLY = "reply"
    QUERY = "query"
    RECOVERED = "recovered"


class TradingState(StrEnum):
    """What the gate admits. Boot state is HALTED; a human starts a session."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class GateState(StrEnum):
    """How much we know of the venue. Only READY may trade."""

    DOWN = "DOWN"
    CONNECTING = "CONNECTING"
    RECONCILING = "RECONCILING"
    READY = "READY"
    STALE = "STALE"
    BANNED = "BANNED"
    """The venue answers nothing until a time that it has named (418, or its firewall)."""


class Mode(StrEnum):
    """What kind of venue a record is about; simulated sessions never count as testnet evidence."""

    SIM = "sim"
    TESTNET = "testnet"
    LIVE = "live"


class Link(StrEnum):
    """The three connections that a venue needs."""

    REST = "rest"
    MARKET = "market"
    ORDER = "order"
    """Order entry and user data: one WebSocket API connection."""


class SymbolStatus(StrEnum):
    """New orders only on TRADING; CANCEL_ONLY still takes cancels (binance-spot.md §4)."""

    TRADING = "TRADING"
    END_OF_DAY = "END_OF_DAY"
    HALT = "HALT"
    BREAK = "BREAK"
    CANCEL_ONLY = "CANCEL_ONLY"
    NOT_LISTED = "NOT_LISTED"
    """Ours: exchangeInfo no longer has a row of it that can be read."""
    NOT_ALLOWED = "NOT_ALLOWED"
    """Ours: it is listed, and spot trading on it is not allowed to us."""
