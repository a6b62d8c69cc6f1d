"""The fault menu: what can go wrong at a venue, on purpose, from a seed.

Rules of this file:
1. A plan only decides; `gateway`, `fault_actions` and the host carry out. Decisions come from the
   rule's own seeded source, so a script gives the same faults for the same requests.
2. A rule of a request or event kind has a `rate` per occasion (0..1); a rule of a timed kind has a
   rate per minute, or `at_ms` for exactly once.
3. Times of a rule are milliseconds after the script was loaded.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

import msgspec

from daemon.venues.sim.sim_orders import RandomSource

_MS_NS = 1_000_000
_MINUTE_NS = 60_000_000_000


class FaultScriptError(ValueError):
    """A fault script that cannot be understood; the text says where."""


class FaultKind(StrEnum):
    """Every fault that the venue can inject."""

    DELAY_ANSWER = "delay_answer"
    DELAY_REQUEST = "delay_request"
    DROP_ANSWER = "drop_answer"
    DROP_REQUEST = "drop_request"
    ERROR_5XX_AFTER = "error_5xx_after"
    ERROR_5XX_BEFORE = "error_5xx_before"
    UNKNOWN_1007_AFTER = "unknown_1007_after"
    UNKNOWN_1007_BEFORE = "unknown_1007_before"
    LATE_1007 = "late_1007"
    OVERLOAD_1008 = "overload_1008"
    WAF_403 = "waf_403"
    LIMIT_429 = "limit_429"
    BAN_418 = "ban_418"
    DUPLICATE_EVENT = "duplicate_event"
    REORDER_EVENT = "reorder_event"
    DELAY_EVENT = "delay_event"
    LATE_FILL = "late_fill"
    DROP_EVENT = "drop_event"
    MUTE = "mute"
    HALF_OPEN = "half_open"
    ABRUPT_CLOSE = "abrupt_close"
    SERVER_SHUTDOWN = "server_shutdown"
    STREAM_OUTAGE = "stream_outage"
    WS_API_OUTAGE = "ws_api_outage"
    REST_OUTAGE = "rest_outage"
    NETWORK_CUT = "network_cut"
    DEPTH_GAP = "depth_gap"
    FREEZE_DATA = "freeze_data"
    CLOCK_STEP = "clock_step"
    HALT_SYMBOL = "halt_symbol"
    CANCEL_ONLY = "cancel_only"
    FILTER_CHANGE = "filter_change"
    WIPE = "wipe"
    FOREIGN_ORDER = "foreign_order"
    PRICE_JUMP = "price_jump"
    EMPTY_BOOK = "empty_book"
    FILL_RESTING = "fill_resting"
    CANCEL_RESTING = "cancel_resting"
    FEE_ASSET = "fee_asset"
    DELIST = "delist"


EXPLANATIONS: dict[FaultKind, str] = {
    FaultKind.DELAY_ANSWER: "the answer comes ms_min..ms_max late; the request is done at once",
    FaultKind.DELAY_REQUEST: "the request is held ms_min..ms_max before it is judged and executed",
    FaultKind.DROP_ANSWER: "the request is executed, its answer never comes",
    FaultKind.DROP_REQUEST: "the request is lost before execution, no answer comes",
    FaultKind.ERROR_5XX_AFTER: "HTTP 503 / -1006 although the request was executed",
    FaultKind.ERROR_5XX_BEFORE: "HTTP 503 / -1006 and the request was not executed",
    FaultKind.UNKNOWN_1007_AFTER: "-1007 time-out although the request was executed",
    FaultKind.UNKNOWN_1007_BEFORE: "-1007 time-out and the request was not executed",
    FaultKind.LATE_1007: "-1007 time-out at once; the request is executed ms_min..ms_max later",
    FaultKind.OVERLOAD_1008: "HTTP 503 / -1008 overloaded, not executed",
    FaultKind.WAF_403: "HTTP 403 with an HTML page (REST only), not executed",
    FaultKind.LIMIT_429: "429 / -1003 for `seconds`; asking on brings the 418 ban",
    FaultKind.BAN_418: "418 ban for `seconds`; WebSocket connections are dropped",
    FaultKind.DUPLICATE_EVENT: "a user event is sent twice",
    FaultKind.REORDER_EVENT: "a user event is held `ms` so that later ones overtake it",
    FaultKind.DELAY_EVENT: "a user event and all after it come ms_min..ms_max late",
    FaultKind.LATE_FILL: "a fill's event is held `ms`, past its order's cancel",
    FaultKind.DROP_EVENT: "a user event is lost for good; queries still tell what happened",
    FaultKind.MUTE: "sockets of `target` (user|market|all) lose events, not answers, for `seconds`",
    FaultKind.HALF_OPEN: "sockets of `target` stay open for `seconds`, but nothing passes at all",
    FaultKind.ABRUPT_CLOSE: "sockets of `target` are cut without a close frame",
    FaultKind.SERVER_SHUTDOWN: "serverShutdown is announced; sockets close `ms` later",
    FaultKind.STREAM_OUTAGE: "market streams are cut and refused for `seconds`; REST stays up",
    FaultKind.WS_API_OUTAGE: "the WebSocket API is cut and refused for `seconds`; REST stays up",
    FaultKind.REST_OUTAGE: "REST answers 503 to everything for `seconds`, not executed",
    FaultKind.NETWORK_CUT: "for `seconds` nothing passes: sockets fall silent, requests are lost",
    FaultKind.FREEZE_DATA: "market data stands still for `seconds`: requests repeat one answer, "
    "streams are silent; the market itself moves on and takes orders",
    FaultKind.DEPTH_GAP: "one diff-depth event of every symbol is swallowed",
    FaultKind.CLOCK_STEP: "the venue's clock is `step_ms` off for `seconds`, so that -1021 comes; "
    "`hidden` 1: /time still tells the right one",
    FaultKind.HALT_SYMBOL: "a symbol is HALTed for `seconds`",
    FaultKind.CANCEL_ONLY: "a symbol is CANCEL_ONLY for `seconds`",
    FaultKind.FILTER_CHANGE: "a symbol's minNotional is multiplied by `factor` for `seconds`",
    FaultKind.WIPE: "testnet wipe: orders and trades vanish, balances are granted anew",
    FaultKind.FOREIGN_ORDER: "somebody else places an order on our account",
    FaultKind.PRICE_JUMP: "the crowd of a symbol moves by `percent` at once",
    FaultKind.EMPTY_BOOK: "the crowd of a symbol leaves the book for `seconds`",
    FaultKind.FILL_RESTING: "resting orders of clients trade by `fraction` (0..1) of the rest",
    FaultKind.CANCEL_RESTING: "the venue cancels every open order of clients on a symbol",
    FaultKind.FEE_ASSET: "for `seconds` clients pay their fees in `asset` (default BNB)",
    FaultKind.DELIST: "for `seconds` a symbol is unknown (-1121); its open orders are cancelled",
}
_EVENT_KINDS = frozenset(
    {
        FaultKind.DUPLICATE_EVENT,
        FaultKind.REORDER_EVENT,
        FaultKind.DELAY_EVENT,
        FaultKind.LATE_FILL,
        FaultKind.DROP_EVENT,
    }
)
_REQUEST_KINDS = frozenset(
    {
        FaultKind.DELAY_ANSWER,
        FaultKind.DELAY_REQUEST,
        FaultKind.DROP_ANSWER,
        FaultKind.DROP_REQUEST,
        FaultKind.ERROR_5XX_AFTER,
        FaultKind.ERROR_5XX_BEFORE,
        FaultKind.UNKNOWN_1007_AFTER,
        FaultKind.UNKNOWN_1007_BEFORE,
        FaultKind.LATE_1007,
        FaultKind.OVERLOAD_1008,
        FaultKind.WAF_403,
    }
)
_DELAYS = frozenset({FaultKind.DELAY_ANSWER, FaultKind.DELAY_REQUEST, FaultKind.LATE_1007})
Param = str | int | float


class FaultRule(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a script; see the file's rules for `rate`."""

    kind: FaultKind
    rate: float = 0.0
    from_ms: int = 0
    until_ms: int | None = None
    at_ms: int | None = None
    seed: int | None = None
    purposes: tuple[str, ...] = ("place", "cancel")
    params: Mapping[str, Param] = msgspec.field(default_factory=dict)

    def number(self, name: str, default: float) -> float:
        """A numeric parameter."""
        return float(self.params.get(name, default))

    def text(self, name: str, default: str) -> str:
        """A text parameter."""
        return str(self.params.get(name, default))


class RequestVerdict(msgspec.Struct, frozen=True):
    """What happens to one request."""

    kind: FaultKind | None = None
    delay_ms: int = 0


class EventVerdict(msgspec.Struct, frozen=True):
    """When one user event is sent: a delay in ms per copy; `in_order` holds later ones too."""

    delays_ms: tuple[int, ...] = (0,)
    in_order: bool = False
    kinds: tuple[FaultKind, ...] = ()


NO_REQUEST_FAULT = RequestVerdict()
NO_EVENT_FAULT = EventVerdict()


class _Armed(msgspec.Struct):
    rule: FaultRule
    rng: RandomSource
    from_ns: int
    until_ns: int | None
    next_ns: int | None

    def is_on(self, now_ns: int) -> bool:
        return now_ns >= self.from_ns and (self.until_ns is None or now_ns < self.until_ns)


class FaultPlan:
    """The rules that are loaded now."""

    def __init__(self, rng_of: Callable[[str], RandomSource]) -> None:
        self._rng_of = rng_of
        self._requests: list[_Armed] = []
        self._events: list[_Armed] = []
        self._timed: list[_Armed] = []

    def load(self, rules: Iterable[FaultRule], now_ns: int) -> None:
        """Replace the script; its times count from now."""
        self._requests, self._events, self._timed = [], [], []
        for index, rule in enumerate(rules):
            name = f"fault/{index}/{rule.kind}" if rule.seed is None else f"fault/{rule.seed}"
            armed = _Armed(
                rule=rule,
                rng=self._rng_of(name),
                from_ns=now_ns + rule.from_ms * _MS_NS,
                until_ns=None if rule.until_ms is None else now_ns + rule.until_ms * _MS_NS,
                next_ns=None,
            )
            if rule.kind in _REQUEST_KINDS:
                self._requests.append(armed)
            elif rule.kind in _EVENT_KINDS:
                self._events.append(armed)
            else:
                if rule.at_ms is not None:
                    armed.next_ns = now_ns + rule.at_ms * _MS_NS
                elif rule.rate > 0:
                    armed.next_ns = armed.from_ns + _gap_ns(armed)
                self._timed.append(armed)

    def on_request(self, purpose: str, now_ns: int, *, is_rest: bool) -> RequestVerdict:
        """What happens to a request of this purpose; the first rule that strikes wins."""
        for armed in self._requests:
            rule = armed.rule
            if purpose not in rule.purposes or not armed.is_on(now_ns):
                continue
            if rule.kind is FaultKind.WAF_403 and not is_rest:
                continue
            if armed.rng.random() < rule.rate:
                delay = _between(armed) if rule.kind in _DELAYS else 0
                return RequestVerdict(rule.kind, delay)
        return NO_REQUEST_FAULT

    def on_event(self, *, is_fill: bool, now_ns: int) -> EventVerdict:
        """When a user event goes out."""
        if not self._events:
            return NO_EVENT_FAULT
        delay, copies, in_order, kinds = 0, 1, False, []
        for armed in self._events:
            kind = armed.rule.kind
            if not armed.is_on(now_ns) or (kind is FaultKind.LATE_FILL and not is_fill):
                continue
            if armed.rng.random() >= armed.rule.rate:
                continue
            kinds.append(kind)
            if kind is FaultKind.DROP_EVENT:
                return EventVerdict((), kinds=(kind,))
            if kind is FaultKind.DUPLICATE_EVENT:
                copies += 1
            elif kind is FaultKind.DELAY_EVENT:
                delay, in_order = delay + _between(armed), True
            else:
                delay += int(armed.rule.number("ms", 300.0))
        delays = tuple(delay + 20 * n for n in range(copies))
        return EventVerdict(delays, in_order, tuple(kinds))

    def due(self, now_ns: int) -> list[FaultRule]:
        """Timed faults whose moment has come."""
        struck: list[FaultRule] = []
        for armed in self._timed:
            if armed.next_ns is None or armed.next_ns > now_ns:
                continue
            armed.next_ns = None
            if armed.is_on(now_ns):
                struck.append(armed.rule)
            if armed.rule.at_ms is None and (armed.until_ns is None or now_ns < armed.until_ns):
                armed.next_ns = now_ns + _gap_ns(armed)
        return struck


def rules_of(script: object) -> list[FaultRule]:
    """Rules from a decoded JSON script.

    Raises:
        FaultScriptError: naming the rule and the field that are wrong.
    """
    if not isinstance(script, list):
        raise FaultScriptError("a fault script is a list of rules")
    return [_rule_of(index, row) for index, row in enumerate(script)]


def _rule_of(index: int, row: object) -> FaultRule:
    if not isinstance(row, dict):
        raise FaultScriptError(f"rule {index}: not an object")
    known = {"kind", "rate", "from_ms", "until_ms", "at_ms", "seed", "purposes", "params"}
    unknown = set(row) - known
    if unknown:
        raise FaultScriptError(f"rule {index}: unknown field {min(unknown)!r}")
    try:
        kind = FaultKind(str(row.get("kind")))
    except ValueError:
        names = ", ".join(FaultKind)
        raise FaultScriptError(
            f"rule {index}: kind {row.get('kind')!r} is none of {names}"
        ) from None
    numbers: dict[str, int | None] = {}
    for name in ("from_ms", "until_ms", "at_ms", "seed"):
        value = row.get(name)
        if value is not None and not isinstance(value, int):
            raise FaultScriptError(f"rule {index}: {name} is not a whole number")
        numbers[name] = value
    rate = row.get("rate", 0.0)
    params, purposes = row.get("params", {}), row.get("purposes", ["place", "cancel"])
    if not isinstance(rate, int | float) or rate < 0:
        raise FaultScriptError(f"rule {index}: rate is not a number at or above zero")
    if not isinstance(params, dict) or not isinstance(purposes, list):
        raise FaultScriptError(f"rule {index}: params is an object and purposes a list")
    return FaultRule(
        kind=kind,
        rate=float(rate),
        from_ms=numbers["from_ms"] or 0,
        until_ms=numbers["until_ms"],
        at_ms=numbers["at_ms"],
        seed=numbers["seed"],
        purposes=tuple(str(purpose) for purpose in purposes),
        params=params,
    )


def _between(armed: _Armed) -> int:
    low = int(armed.rule.number("ms_min", 50))
    high = int(armed.rule.number("ms_max", max(low, 400)))
    return armed.rng.randrange(low, max(high, low) + 1)


def _gap_ns(armed: _Armed) -> int:
    return int(armed.rng.expovariate(armed.rule.rate) * _MINUTE_NS)
