"""No float in the package, in a decision or in the state; and a decision says all it used."""

import ast
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import riskcaps.gate.gate_inputs
from daemon.model.plain_values import to_plain
from riskcaps.gate.interceptor import Approved
from tests.unit.riskcaps.kit import (
    BTC,
    ETH,
    T0,
    D,
    approve,
    bare_gate,
    caps_of,
    fill,
    instrument,
    ready,
    symbol_caps,
    top,
    wish,
)  # fmt: skip

PACKAGE = Path(riskcaps.gate.gate_inputs.__file__).parent
SOURCES = sorted(PACKAGE.glob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_float_is_written_in_the_package(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant):
            assert not isinstance(node.value, float), f"line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"float", "round"}, f"line {node.lineno}"


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def busy_gate() -> Any:
    symbols = {"BTCUSDT": symbol_caps(), "ETHUSDT": symbol_caps()}
    gate = ready(caps_of(symbols=symbols))
    gate.risk.on_instruments([instrument(ETH)])
    gate.risk.on_top(top("49.99", "50.01", name=ETH), T0)
    gate.risk.on_fill(fill("e", "BUY", "0.7", "50", fee="0.0007", fee_asset="ETH", name=ETH), T0)
    gate.risk.on_fill(fill("b", "SELL", "0.3", "99.99", fee="0.01"), T0)
    gate.risk.on_venue_budget({"ORDERS": 3}, {"ORDERS": 100}, T0)
    approve(gate, wish("BUY", "1", "99.00"))
    return gate


def test_decisions_and_state_are_plain_json_without_floats() -> None:
    gate = busy_gate()
    for intent in (wish("BUY", "0.3", None), wish("SELL", "9", "101.00"), wish("SELL", "1", "101")):
        decision = dict(gate.review(intent, T0).decision)
        assert json.loads(json.dumps(decision)) == to_plain(decision)
        assert all(type(leaf) in {int, bool, type(None)} or isinstance(leaf, str)
                   for leaf in leaves(decision))  # fmt: skip
    state = gate.state()
    assert json.loads(json.dumps(state)) == state
    assert not any(isinstance(leaf, float | Decimal) for leaf in leaves(state))
    for use in gate.risk.usage(T0):
        assert type(use.used) in {int, Decimal}


def test_every_key_of_a_decision_is_explained() -> None:
    gate = busy_gate()
    manual = riskcaps.gate.gate_inputs.__doc__ or ""
    unheard = bare_gate().review(wish(), T0)
    for answer in (gate.review(wish("BUY", "1", "98.00"), T0), unheard):
        for key in [*answer.decision, *answer.decision["standing"]]:
            assert key in manual, key


def test_a_decision_shows_the_world_before_the_order_was_held() -> None:
    gate = ready()
    first = gate.review(wish("BUY", "1", "99.00"), T0)
    second = gate.review(wish("BUY", "2", "98.00"), T0)
    assert isinstance(first, Approved)
    assert isinstance(second, Approved)
    keys = ("position", "buys_open", "sells_open", "own_px", "orders_open", "attempts")
    assert [first.decision[key] for key in keys] == [
        "0", "0", "0", [None, None, None], [0, 0, 0], [0, 0, 0, 0],
    ]  # fmt: skip
    assert [second.decision[key] for key in keys] == [
        "0", "1", "0", ["99.00", None, "99.00"], [1, 0, 1], [1, 1, 1, 1],
    ]  # fmt: skip
    assert second.decision["balance"] == ["USDT", "5000", "99.00", "0"]
    assert second.decision["turnover"] == {"USDT": ["0", "99.00", "1"]}


def test_a_decision_shows_every_other_symbol_that_weighs() -> None:
    decision = busy_gate().review(wish("BUY", "1", "98.00"), T0).decision
    assert decision["others"] == {ETH: ["0.6993", "0", "0", "0", "49.99", "50.01", T0, "1", "1", 0]}
    assert decision["market"] == {
        "bid": "99.99", "ask": "100.01", "top_ns": T0, "reference_px": None, "reference_ns": None,
    }  # fmt: skip
    assert decision["standing"]["budget"] == {"ORDERS": [3, 100]}
    assert decision["position"] == "-0.3"


def test_dust_and_long_fractions_stay_exact() -> None:
    gate = ready()
    for i in range(1, 40):
        qty = Decimal(1) / (2**i)
        gate.risk.on_fill(fill("x", "BUY", str(qty), "100.00000001", fee="0.00000001"), T0)
        gate.risk.on_fill(fill("y", "SELL", str(qty / 3 // D("1e-18") * D("1e-18")), "99.99"), T0)
    book = gate.risk.books.book(BTC)
    assert book.position == sum(
        (
            Decimal(1) / 2**i - Decimal(1) / 2**i / 3 // D("1e-18") * D("1e-18")
            for i in range(1, 40)
        ),
        Decimal(0),
    )
    cash = sum(
        (
            -(Decimal(1) / 2**i) * D("100.00000001")
            - D("0.00000001")
            + Decimal(1) / 2**i / 3 // D("1e-18") * D("1e-18") * D("99.99")
            for i in range(1, 40)
        ),
        Decimal(0),
    )
    assert gate.risk.equity(T0).equity == cash + book.position * D("99.99")
