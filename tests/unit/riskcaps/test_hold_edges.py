"""What a hold takes of the free balance, and that it is given back once and in the same unit."""

import pytest

from daemon.model.copies import replace
from daemon.model.list_legs import Contingency, ListLeg
from daemon.model.position import Balance
from riskcaps.gate.interceptor import Interceptor
from tests.unit.riskcaps.kit import (
    BTC,
    SYMBOL,
    T0,
    D,
    approve,
    caps_of,
    deny,
    fill,
    ready,
    symbol_caps,
    wish,
)


def broke(usdt: str = "210", btc: str = "2") -> Interceptor:
    """A gate with 200 USDT to spend above the floor of 10, and 2 BTC."""
    gate = ready()
    balances(gate, usdt, btc)
    return gate


def balances(gate: Interceptor, usdt: str, btc: str = "2") -> None:
    gate.risk.on_balances([Balance("USDT", D(usdt), D(0)), Balance("BTC", D(btc), D(0))], T0)


@pytest.mark.parametrize(
    ("side", "price", "again"), [("BUY", "100.00", "99.99"), ("SELL", "101.00", "101.01")]
)
def test_an_order_that_ends_in_flight_gives_all_back(side: str, price: str, again: str) -> None:
    gate = broke()
    name = approve(gate, wish(side, "2", price))
    assert deny(gate, wish(side, "0.1", again)) == "balance_insufficient"
    gate.risk.on_terminal(name, T0)
    for account in gate.risk.books.accounts.values():
        assert (account.inflight, account.unsettled, account.open_notional) == (0, 0, 0)
    approve(gate, wish(side, "2", again))


@pytest.mark.parametrize(
    ("side", "price", "again"), [("BUY", "100.00", "99.99"), ("SELL", "101.00", "101.01")]
)
def test_an_order_that_was_lost_and_found_is_settled_once(
    side: str, price: str, again: str
) -> None:
    gate = broke()
    name = approve(gate, wish(side, "1", price))
    gate.risk.on_known(name, T0)
    gate.risk.on_unknown(name, T0)
    gate.risk.on_known(name, T0)
    gate.risk.on_known(name, T0)
    asset = "USDT" if side == "BUY" else "BTC"
    account = gate.risk.books.accounts[asset]
    assert (account.inflight, account.unsettled) == (0, 100 if side == "BUY" else 1)
    balances(gate, *(("110", "2") if side == "BUY" else ("210", "1")))  # the venue has locked it
    assert (account.inflight, account.unsettled) == (0, 0)
    assert deny(gate, wish(side, "1.01", again)) == "balance_insufficient"
    approve(gate, wish(side, "1", again))


def test_only_a_sells_fee_in_base_widens_what_the_next_sell_is_measured_from() -> None:
    gate = ready()
    gate.risk.on_fill(fill("elsewhere", "BUY", "1", "100", fee="0.01", fee_asset="BTC"), T0)
    book = gate.risk.books.book(BTC)
    assert (book.position, book.fees_since_sell) == (D("0.99"), 0)
    gate.risk.on_fill(fill("elsewhere", "SELL", "0.5", "100", fee="0.01", fee_asset="BTC"), T0)
    assert (book.position, book.fees_since_sell) == (D("0.48"), D("0.01"))
    book.clear_position()
    assert (book.position, book.fees_since_sell, book.was_traded) == (0, 0, False)


def test_the_fee_in_base_of_an_entry_is_no_breach_by_its_exit() -> None:
    """It is known only with the entry's fill, when its exit is at the venue already."""
    gate = ready(caps_of({"BTCUSDT": symbol_caps(**{**SYMBOL, "position_short_base_max": "0"})}))
    legs = [
        replace(one, order_list=ListLeg(list_id="", contingency=Contingency.OTO, leg=leg, legs=2))
        for leg, one in enumerate((wish("BUY", "1", "99"), wish("SELL", "1", "101")))
    ]
    verdict = gate.review_list(legs, Contingency.OTO, T0)
    assert verdict.order_list is not None, verdict
    entry, leaves = (one.client_order_id for one in verdict.order_list.orders)
    told = gate.risk.on_fill(fill(entry, "BUY", "1", "99", fee="0.001", fee_asset="BTC"), T0)
    told += gate.risk.on_fill(fill(leaves, "SELL", "1", "101"), T0)
    assert not [one for one in told if one.kind == "breach"]
    assert deny(gate, wish("SELL", "0.1", "102")) == "position_short", "the next sell is measured"
