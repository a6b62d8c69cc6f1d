"""Refusals as client libraries read them: ccxt's own error handler is the judge."""

from typing import Any

import orjson
import pytest

from daemon.model.bots import BotDenial, BotRefusal, DenialSource
from daemon.venues.binance_spot.serving import dialect_errors
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.parameters import check_parameters
from daemon.venues.binance_spot.serving.params import Params
from daemon.venues.binance_spot.serving.rate_limits import banned, too_much_weight
from daemon.venues.binance_spot.serving.refusals import BOT_RULES, refusal_of, try_again
from daemon.venues.binance_spot.serving.rest_requests import refusal
from riskcaps.words.denials import DenyReason

CAPS = [reason.value for reason in DenyReason]
NOW_NS = 1_790_000_000_000_000_000
URL = "http://127.0.0.1:1/api/v3"
DISABLED = "This action is disabled on this account."
OF_THE_VENUE = "Order would immediately match and take."


@pytest.fixture(scope="module")
def client() -> Any:
    import ccxt  # noqa: PLC0415 - half a second in each worker of the tests

    exchange = ccxt.binance()
    exchange.urls["test"] = {"private": URL, "public": URL}
    exchange.set_sandbox_mode(True)
    return exchange


def read_by(client: Any, error: DialectError) -> str:
    """The class of the exception that ccxt raises for this answer."""
    import ccxt  # noqa: PLC0415 - as above

    body, headers = refusal(error, NOW_NS)
    answer = (error.status, "", URL, "POST")
    try:
        client.handle_errors(*answer, headers, body.decode(), orjson.loads(body), {}, "")
        client.handle_http_status_code(*answer, body.decode())
    except ccxt.BaseError as raised:
        return type(raised).__name__
    return "no error"


def of_caps(reason: str, **context: str) -> DialectError:
    denial = BotDenial(source=DenialSource.CAPS, reason=reason, context=context)
    return refusal_of(denial, NOW_NS, places=True)


def of_venue(code: int, msg: str) -> DialectError:
    denial = BotDenial(source=DenialSource.VENUE, reason="", code=code, msg=msg)
    return refusal_of(denial, NOW_NS, places=True)


CLASSES = {
    "symbol_not_allowed": "BadSymbol",
    "instrument_unknown": "BadSymbol",
    "symbol_not_trading": "MarketClosed",
    "balance_insufficient": "InsufficientFunds",
    "order_not_open": "OrderNotFound",
    "not_owner": "OrderNotFound",
    "filter_amends": "ExchangeError",
    "amend_not_smaller": "ExchangeError",
    **dict.fromkeys(
        ("filter_iceberg", "filter_trailing", "filter_notional", "filter_orders_open",
         "filter_position", "filter_asset"),
        "BadRequest",
    ),
    **dict.fromkeys(
        ("orders_per_second", "orders_per_minute", "orders_per_hour", "orders_per_day",
         "orders_per_minute_symbol", "messages_per_second", "messages_per_minute", "venue_budget",
         "cancels_per_second"),
        "DDoSProtection",
    ),
}  # fmt: skip
"""What is not an InvalidOrder."""


@pytest.mark.parametrize("reason", sorted(CAPS))
def test_a_library_knows_what_a_cap_has_refused(client: Any, reason: str) -> None:
    assert read_by(client, of_caps(reason)) == CLASSES.get(reason, "InvalidOrder")


@pytest.mark.parametrize("reason", list(BotRefusal))
def test_a_library_knows_what_the_bots_own_rules_have_refused(
    client: Any, reason: BotRefusal
) -> None:
    denial = BotDenial(source=DenialSource.DOOR, reason=reason.value)
    expected = {
        BotRefusal.UNKNOWN_BOT: "AuthenticationError",
        BotRefusal.UNKNOWN_SYMBOL: "BadSymbol",
        BotRefusal.ORDER_NOT_FOUND: "OrderNotFound",
        BotRefusal.ALLOTMENT_EXCEEDED: "InsufficientFunds",
        BotRefusal.LIST_PENDING: "BadRequest",
    }
    told = read_by(client, refusal_of(denial, NOW_NS, places=True))
    assert told == expected.get(reason, "InvalidOrder")


def test_a_cap_is_told_with_its_figures() -> None:
    error = of_caps("order_qty", cap="order_qty_base_max", used="5", limit="0.01", instrument="B@x")
    assert (error.status, error.code) == (400, -2010)
    assert error.msg == "seatrial: order_qty cap=order_qty_base_max used=5 limit=0.01"
    error = of_caps("trading_halted")
    assert error.msg == f"{DISABLED} seatrial: trading_halted"
    assert of_caps("filter_lot").msg == "Filter failure: LOT_SIZE"


def test_nothing_about_a_placement_could_mean_perhaps() -> None:
    """A 5xx reads as "it may have been executed"; what was refused was not sent."""
    denials = [BotDenial(source=DenialSource.CAPS, reason=reason) for reason in CAPS]
    denials += [BotDenial(source=DenialSource.DOOR, reason=reason.value) for reason in BOT_RULES]
    denials += [
        BotDenial(source=DenialSource.LINK, reason="down", msg="no link"),
        BotDenial(source=DenialSource.CAPS, reason="one_of_a_later_build"),
        *(
            BotDenial(source=DenialSource.VENUE, reason="", code=code, msg="x")
            for code in (-1003, -1013, -1015, -1021, -1022, -2010, -2014, -2015)
        ),
    ]
    for denial in denials:
        error = refusal_of(denial, NOW_NS, places=True)
        assert error.status < 500, denial
        assert error.code not in {-1000, -1001, -1006, -1007, -1008}, denial


def test_a_cancel_that_did_not_leave_may_be_repeated(client: Any) -> None:
    denial = BotDenial(source=DenialSource.LINK, reason="no_link", msg="no link")
    error = refusal_of(denial, NOW_NS, places=False)
    assert (error.status, error.code) == (503, -1001)
    assert read_by(client, try_again()) == "OperationFailed"
    placed = refusal_of(denial, NOW_NS, places=True)
    assert placed.msg == f"{DISABLED} seatrial: not sent: no link"


def test_the_venues_own_words_pass_as_they_are(client: Any) -> None:
    error = of_venue(-2010, OF_THE_VENUE)
    assert (error.status, error.code, error.msg) == (400, -2010, OF_THE_VENUE)
    assert read_by(client, error) == "OrderImmediatelyFillable"
    assert read_by(client, of_venue(-1013, "Filter failure: LOT_SIZE")) == "InvalidOrder"


@pytest.mark.parametrize("code", [-1002, -1021, -1022, -2014, -2015])
def test_no_bot_doubts_its_key_or_clock_because_of_ours(client: Any, code: int) -> None:
    error = of_venue(code, "Signature for this request is not valid.")
    assert (error.status, error.code) == (400, -2010)
    assert error.msg == f"{DISABLED} seatrial: the venue refuses the daemon ({code})"
    assert read_by(client, error) == "InvalidOrder"


def test_a_rate_says_when_to_come_back(client: Any) -> None:
    for error in (of_caps("orders_per_second"), of_venue(-1015, "Too many new orders.")):
        body, headers = refusal(error, NOW_NS)
        assert error.status == 429
        assert int(headers["retry-after"]) >= 1
        assert orjson.loads(body).keys() == {"code", "msg"}
        assert read_by(client, error) == "DDoSProtection"
    for error in (banned(NOW_NS + 60 * 10**9), too_much_weight(6_000, NOW_NS + 10**9)):
        assert int(refusal(error, NOW_NS)[1]["retry-after"]) in {1, 60}
        assert read_by(client, error) == "DDoSProtection"


def test_the_words_that_clients_wait_for(client: Any) -> None:
    told = {
        "unknown_outcome": "RequestTimeout",
        "not_supported": "BadRequest",
        "unknown_order": "OrderNotFound",
        "no_such_order": "OrderNotFound",
        "not_permitted": "AuthenticationError",
    }
    for name, kind in told.items():
        assert read_by(client, getattr(dialect_errors, name)()) == kind, name


def test_each_refusal_is_an_error_of_its_own() -> None:
    """An exception that many requests share keeps the frames of every one of them alive."""

    def refused(values: dict[str, str]) -> DialectError:
        with pytest.raises(DialectError) as raised:
            check_parameters("order.place", Params(values), signed=False, is_rest=True)
        return raised.value

    for values in ({"side": "UP"}, {"type": "ODD"}, {"timeInForce": "DAY"}, {"limit": "1"}):
        assert refused(dict(values)) is not refused(dict(values))
    assert of_caps("order_qty") is not of_caps("order_qty")
