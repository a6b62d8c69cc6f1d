"""ccxt and ccxt.pro, unpatched, complete their round at the simulated venue (judge: its ledger)."""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.client_session import run_session
from tests.support.sim_process import SimProcess

Facts = dict[str, Any]


@pytest.fixture(scope="module")
def facts() -> Facts:
    return run_session("session_ccxt.py")


@pytest.fixture(scope="module")
def rest(facts: Facts) -> Facts:
    return dict(facts["rest"])


@pytest.fixture(scope="module")
def sockets(facts: Facts) -> Facts:
    return dict(facts["sockets"])


def ledger_order(facts: Facts, client_order_id: str) -> Facts:
    rows = [o for o in facts["ledger"]["orders"] if o["client_order_id"] == client_order_id]
    assert len(rows) == 1
    return dict(rows[0])


def test_the_session_could_not_reach_a_live_host(facts: Facts) -> None:
    if not facts["isolated"]:
        pytest.skip("the kernel gives this user no network namespace; URLs were loopback only")
    assert not facts["reaches_outside"]


def test_nothing_but_the_spot_api_was_asked_for(facts: Facts) -> None:
    asked = [name for name in facts["ledger"]["requests"] if name.startswith("REST")]
    assert asked
    assert all(name.split()[2].startswith("/api/v3/") for name in asked)


def test_markets_carry_tick_step_and_notional(rest: Facts) -> None:
    assert rest["market"]["id"] == "BTCUSDT"
    assert rest["market"]["active"] is True
    assert rest["market"]["precision"]["price"] == 0.01
    assert rest["market"]["precision"]["amount"] == 1e-05
    assert rest["limits"]["cost"]["min"] == 5.0


def test_public_data_is_live_and_two_sided(rest: Facts) -> None:
    assert rest["book"]["bid"] < rest["book"]["ask"]
    assert rest["book"]["depth"] >= 5
    assert rest["tickers"] == rest["bids_asks"] == 5
    assert rest["public_trades"] == 10
    assert len(rest["candles"]) == 5


def test_there_is_a_past_to_learn_from(rest: Facts) -> None:
    hours = [row[0] for row in rest["hours"]]
    assert hours == list(range(hours[0], hours[0] + 500 * 3_600_000, 3_600_000))
    days = rest["old_days"]
    assert [row[0] for row in days] == [1_614_556_800_000 + n * 86_400_000 for n in range(31)]
    assert all(low <= first <= high for _, first, high, low, _, _ in days)
    assert len(rest["old_trades"]) == 20
    assert rest["old_trades"][0]["price"] == days[0][1]


def test_a_resting_order_is_seen_by_every_question(rest: Facts, facts: Facts) -> None:
    assert rest["resting"]["status"] == rest["fetched"]["status"] == "open"
    assert rest["resting"]["clientOrderId"] == "ccxt-rest-1"
    assert rest["open"] == [rest["resting"]["id"]]
    row = ledger_order(facts, "ccxt-rest-1")
    assert str(row["order_id"]) == rest["resting"]["id"]


def test_an_edit_replaces_and_a_cancel_ends(rest: Facts, facts: Facts) -> None:
    assert ledger_order(facts, "ccxt-rest-1")["status"] == "CANCELED"
    assert rest["edited"]["id"] != rest["resting"]["id"]
    assert rest["canceled"]["status"] == rest["after_cancel"]["status"] == "canceled"
    assert rest["cancel_all"] == 2
    assert rest["stop"]["status"] == "open"


def test_a_market_order_fills_and_its_trades_add_up(rest: Facts, facts: Facts) -> None:
    order_id = rest["market_order"]["id"]
    assert rest["market_order"]["status"] == "closed"
    ours = [t for t in rest["my_trades"] if t["order"] == order_id]
    booked = [f for f in facts["ledger"]["fills"] if str(f["order_id"]) == order_id]
    assert sum(Decimal(str(t["amount"])) for t in ours) == Decimal("0.003")
    assert sum(Decimal(f["qty"]) for f in booked) == Decimal("0.003")
    assert {t["id"] for t in ours} == {str(f["trade_id"]) for f in booked}


@pytest.mark.parametrize(
    ("mistake", "error"),
    [
        ("cancel unknown", "OrderNotFound"),
        ("fetch unknown", "OrderNotFound"),
        ("too expensive", "InsufficientFunds"),
        ("maker would take", "OrderImmediatelyFillable"),
        ("too small", "BadRequest"),
        ("wrong secret", "AuthenticationError"),
    ],
)
def test_the_documented_wording_reaches_the_right_exception(
    rest: Facts, mistake: str, error: str
) -> None:
    assert rest["errors"][mistake] == error


def test_streams_deliver_book_trades_ticker_and_candles(sockets: Facts) -> None:
    assert sockets["book"]["bid"] < sockets["book"]["ask"]
    assert sockets["book"]["nonce"] > 0
    assert sockets["trades"]
    assert sockets["ticker"] > 0
    assert sockets["top"] > 0
    assert sockets["candle"][5] > 0


def test_orders_over_the_websocket_api(sockets: Facts, facts: Facts) -> None:
    assert sockets["ws_order"]["status"] == "open"
    assert sockets["ws_fetched"] == "open"
    assert sockets["ws_open"] == [sockets["ws_order"]["id"]]
    assert sockets["ws_canceled"] == "canceled"
    assert ledger_order(facts, "ccxt-ws-1")["status"] == "CANCELED"
    assert sockets["ws_market"]["status"] == "closed"


def test_the_user_stream_tells_orders_balances_and_trades(sockets: Facts, facts: Facts) -> None:
    seen = sockets["seen"]
    statuses = [o["status"] for o in seen["orders"] if o["clientOrderId"] == "ccxt-ws-1"]
    assert statuses == ["open", "canceled"]
    assert seen["balance"]["total"] > 0
    order_id = sockets["ws_market"]["id"]
    booked = {
        str(f["trade_id"]) for f in facts["ledger"]["fills"] if str(f["order_id"]) == order_id
    }
    assert {t["id"] for t in seen["my_trades"]} <= booked
    assert seen["my_trades"]


def test_the_documented_script_trades_on_the_simulated_venue(tmp_path: Path) -> None:
    ready = tmp_path / "sim.json"
    script = Path(__file__).resolve().parents[2] / "docs" / "examples" / "ccxt_sim.py"
    with SimProcess(symbols="BTCUSDT") as sim:
        ready.write_text(json.dumps(sim.ready) + "\n")
        done = subprocess.run(
            [sys.executable, "-W", "ignore", script, ready],
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        assert done.returncode == 0, done.stderr
        statuses = sorted(order["status"] for order in sim.ledger()["orders"])
    assert statuses == ["CANCELED", "FILLED"]
    assert "bought: 0.001" in done.stdout
