"""Nautilus and hummingbot, unpatched and from their snippets, through the gateway.

`make test-clients`: each runs in an environment of its own, from its lock. Judge: the venue's
ledger and its own rows.
"""

from decimal import Decimal
from typing import Any

import pytest

from tests.support.client_session import run_session

Facts = dict[str, Any]
WORDS = {
    "nautilus": {
        "placed": "OrderAccepted", "filled": "OrderFilled", "canceled": "OrderCanceled",
        "refused": "OrderRejected", "qty": "last_qty", "trade": "trade_id",
        "order": "venue_order_id",
    },
    "hummingbot": {
        "placed": "OrderCreated", "filled": "OrderFilled", "canceled": "OrderCancelled",
        "refused": "OrderFailure", "qty": "amount", "trade": "exchange_trade_id",
        "order": "exchange_order_id",
    },
}  # fmt: skip
"""What each calls the same events."""

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]


@pytest.fixture(scope="module", params=sorted(WORDS))
def facts(request: pytest.FixtureRequest) -> Facts:
    told = run_session(f"session_gateway_heavy.py {request.param}", deadline_s=240)
    return {**told, "words": WORDS[request.param]}


def events(facts: Facts, name: str, kind: str) -> list[dict[str, str]]:
    """What the client heard of one of its orders, by our names of order and event."""
    order, word = facts["client"]["names"][name], facts["words"][kind]
    rows = facts["client"]["events"]
    return [told for event, own, told in rows if own == order and event.endswith(word)]


def venue_row(facts: Facts, name: str) -> dict[str, str]:
    row: dict[str, str] = facts["venue"][facts["client"]["names"][name]]
    return row


def test_it_reached_nothing_but_loopback(facts: Facts) -> None:
    assert facts["isolated"]
    assert not facts["reaches_outside"]


def test_start_up_market_data_and_balances(facts: Facts) -> None:
    told = facts["client"]
    bid, ask = (Decimal(one) for one in told["book"])
    assert 0 < bid < ask
    free = Decimal(told["balances"]["USDT"].split(" ")[0])
    assert free == Decimal(facts["ledger"]["initial_balances"]["USDT"])


def test_an_order_rests_and_is_cancelled(facts: Facts) -> None:
    assert events(facts, "resting", "placed")
    assert events(facts, "resting", "canceled")
    row = venue_row(facts, "resting")
    assert (row["status"], row["executedQty"]) == ("CANCELED", "0.00000000")
    assert events(facts, "resting", "placed")[0][facts["words"]["order"]] == str(row["orderId"])


@pytest.mark.parametrize(("name", "status"), [("taker", "FILLED"), ("maker", "CANCELED")])
def test_fills_are_told_once_as_the_ledger_has_them(facts: Facts, name: str, status: str) -> None:
    row = venue_row(facts, name)
    booked = [one for one in facts["ledger"]["fills"] if one["order_id"] == row["orderId"]]
    heard = events(facts, name, "filled")
    assert row["status"] == status
    assert [one[facts["words"]["trade"]] for one in heard] == [str(b["trade_id"]) for b in booked]
    told = sum(Decimal(one[facts["words"]["qty"]]) for one in heard)
    assert (
        told
        == Decimal(row["executedQty"])
        == {"taker": Decimal("0.002"), "maker": Decimal("0.0004")}[name]
    )


def test_refusals_of_venue_and_gate_are_refusals_to_it(facts: Facts) -> None:
    names = facts["client"]["names"]
    assert events(facts, "crossing", "refused")
    assert names["crossing"] not in facts["denied"]
    assert events(facts, "capped", "refused")
    assert facts["denied"] == {names["capped"]: "order_qty"}
    assert not events(facts, "capped", "placed")


def test_nothing_else_reached_the_venue(facts: Facts) -> None:
    ours = {own: facts["ids"][own] for own in facts["ids"]}
    at_venue = [o["client_order_id"] for o in facts["ledger"]["orders"] if o["ours"]]
    assert set(at_venue) <= set(ours)
    assert len(at_venue) == 3
    assert not facts["ledger"]["open_orders"]
