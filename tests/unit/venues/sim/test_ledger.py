"""The ledger: an outside judge can recompute exposure and money from it alone."""

from decimal import Decimal
from typing import Any

import orjson
import pytest

from daemon.venues.sim import account_history, ledger_rows
from daemon.venues.sim.ledger_rows import BLOCK_ROWS, PackedRows
from tests.support.sim_stage import SYMBOL, Stage

ORDER = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}


def exported(stage: Stage, **how: Any) -> dict[str, Any]:
    stage.exchange.collect()
    return stage.ledger(**how)


def busy_stage() -> Stage:
    stage = Stage()
    stage.sell("0.3", "60000", account="other")
    stage.rest("POST", "order", **ORDER, quantity="0.5", price="60000", newClientOrderId="a")
    stage.rest("POST", "order", **ORDER, quantity="0.2", price="59000", newClientOrderId="b")
    stage.rest("POST", "order", **ORDER, quantity="0.2", price="1", newClientOrderId="c")
    stage.rest("DELETE", "order", symbol=SYMBOL, origClientOrderId="b")
    return stage


def test_orders_fills_cancels_and_rejects_are_all_there() -> None:
    ledger = exported(busy_stage(), account="main")
    assert [(o["client_order_id"], o["status"]) for o in ledger["orders"]] == [
        ("a", "PARTIALLY_FILLED"),
        ("b", "CANCELED"),
    ]
    assert [(f["client_order_id"], f["qty"]) for f in ledger["fills"]] == [("a", "0.30000000")]
    assert [c["client_order_id"] for c in ledger["cancels"]] == ["b"]
    assert [(r["client_order_id"], r["code"]) for r in ledger["rejects"]] == [("c", -1013)]
    assert [o["client_order_id"] for o in ledger["open_orders"]] == ["a"]
    assert ledger["requests"]["REST POST /api/v3/order"] == 3


def test_exposure_over_time_can_be_recomputed_from_the_events() -> None:
    events = exported(busy_stage(), account="main")["events"]
    leaves: dict[str, Decimal] = {}
    worst: list[Decimal] = []
    position = Decimal(0)
    for event in events:
        leaves[event["client_order_id"]] = Decimal(event["leaves"])
        if event["kind"] == "fill":
            position += Decimal(event["last_qty"])
        worst.append(position + sum(leaves.values()))
    assert [e["kind"] for e in events] == ["accepted", "fill", "accepted", "canceled"]
    assert worst == [Decimal("0.5"), Decimal("0.5"), Decimal("0.7"), Decimal("0.5")]


def test_balances_follow_from_the_initial_ones_and_the_fills() -> None:
    ledger = exported(busy_stage(), account="main")
    for asset in ("BTC", "USDT"):
        held = Decimal(ledger["initial_balances"][asset])
        for fill in ledger["fills"]:
            qty, price = Decimal(fill["qty"]), Decimal(fill["price"])
            held += {"BTC": qty, "USDT": -qty * price}[asset]
            held -= Decimal(fill["fee"]) if fill["fee_asset"] == asset else 0
        row = ledger["balances"][asset]
        assert Decimal(row["free"]) + Decimal(row["locked"]) == held


def test_a_later_start_leaves_older_rows_out() -> None:
    stage = busy_stage()
    since_ns = stage.tick()
    stage.rest("POST", "order", **ORDER, quantity="0.1", price="58000", newClientOrderId="d")
    ledger = exported(stage, since_ns=since_ns, account="main")
    assert [o["client_order_id"] for o in ledger["orders"]] == ["d"]
    assert [e["client_order_id"] for e in ledger["events"]] == ["d"]


def test_a_wipe_keeps_the_ledger_and_marks_the_epoch() -> None:
    stage = busy_stage()
    stage.exchange.wipe(stage.tick())
    stage.rest("POST", "order", **ORDER, quantity="0.1", price="58000", newClientOrderId="e")
    ledger = exported(stage, account="main")
    assert ledger["epoch"] == 1
    assert len(ledger["wipes"]) == 1
    assert {o["client_order_id"]: o["epoch"] for o in ledger["orders"]} == {"a": 0, "b": 0, "e": 1}
    assert [o["client_order_id"] for o in ledger["open_orders"]] == ["e"]


def test_a_long_ledger_is_the_plain_list_of_what_happened() -> None:
    """Hundreds of orders: some end, some stay open, some are wiped; blocks come and go."""
    stage = Stage()
    plain: dict[str, tuple[str, str]] = {}
    for number in range(700):
        name = f"n{number}"
        outcome = stage.buy("0.001", "50000", id=name)
        plain[name] = (name, "NEW")
        if number % 50:
            stage.venue.cancel("main", SYMBOL, now_ns=stage.tick(), client_order_id=name)
            plain[name] = (name, "CANCELED")
        assert outcome.order.ledger_number == -1
        stage.exchange.collect()
        if number == 300:
            stage.exchange.wipe(stage.tick())
    whole = exported(stage)
    assert [(o["client_order_id"], o["status"]) for o in whole["orders"]] == list(plain.values())
    assert [e["kind"] for e in whole["events"]].count("accepted") == 700
    assert len(whole["cancels"]) == 686
    assert len(whole["open_orders"]) == 7
    since = whole["orders"][400]["updated_ns"]
    later = exported(stage, since_ns=since)
    assert later["orders"] == [o for o in whole["orders"] if o["updated_ns"] >= since]
    assert later["events"] == [e for e in whole["events"] if e["ts_ns"] >= since]
    assert exported(stage, account="other")["orders"] == []


def test_a_ledger_that_is_read_slowly_is_of_the_moment_it_was_asked_for() -> None:
    stage = Stage()
    for number in range(300):
        stage.buy("0.001", "50000", id=f"n{number}")
        if number >= 100:
            stage.venue.cancel("main", SYMBOL, now_ns=stage.tick(), client_order_id=f"n{number}")
        stage.exchange.collect()
    before = stage.ledger()
    pieces = stage.exchange.ledger.pieces(stage.venue, stage.now_ns)
    read = [next(pieces)]
    for number in range(100):
        stage.venue.cancel("main", SYMBOL, now_ns=stage.tick(), client_order_id=f"n{number}")
        stage.exchange.collect()
    read += pieces
    assert orjson.loads(b"".join(read)) == before
    assert {o["status"] for o in stage.ledger()["orders"]} == {"CANCELED"}


def test_whoever_serves_a_ledger_turns_between_blocks_of_which_nothing_is_wanted() -> None:
    rows = PackedRows()
    for number in range(20 * BLOCK_ROWS):
        rows.append({"ts_ns": number})
    last = 20 * BLOCK_ROWS - 1
    pieces = list(rows.pieces(lambda row: row["ts_ns"] == last))
    assert len(pieces) == 20
    assert pieces[:-1] == [b""] * 19
    assert orjson.loads(pieces[-1]) == {"ts_ns": last}


def test_the_oldest_rows_go_and_the_ledger_counts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_rows, "ROWS_RETAINED", 2 * BLOCK_ROWS)
    stage = Stage()
    stage.buy("0.001", "50000", id="stays")
    for number in range(5 * BLOCK_ROWS):
        stage.buy("0.001", "50000", id=f"n{number}")
        stage.venue.cancel("main", SYMBOL, now_ns=stage.tick(), client_order_id=f"n{number}")
        stage.exchange.collect()
    books = stage.ledger()
    orders, dropped = books["orders"], books["dropped"]
    assert dropped["orders"] > 0
    assert len(orders) + dropped["orders"] == 5 * BLOCK_ROWS + 1
    assert orders[0]["client_order_id"] == "stays"  # it is open: its row may still change
    assert orders[-1]["client_order_id"] == f"n{5 * BLOCK_ROWS - 1}"
    assert len(books["events"]) + dropped["events"] == 2 * 5 * BLOCK_ROWS + 1
    later = Stage()
    later.exchange.ledger.restore(books, {}, books["epoch"])
    after = later.ledger()
    for name in ("orders", "events", "cancels"):
        assert len(after[name]) + after["dropped"][name] == len(books[name]) + dropped[name]


def test_an_amend_while_the_ledger_is_read_does_not_show() -> None:
    stage = Stage()
    stage.rest("POST", "order", **ORDER, quantity="0.5", price="50000", newClientOrderId="a")
    stage.exchange.collect()
    before = stage.ledger()
    pieces = stage.exchange.ledger.pieces(stage.venue, stage.now_ns)
    read = [next(pieces)]
    stage.rest(
        "PUT", "order/amend/keepPriority", symbol=SYMBOL, origClientOrderId="a", newQty="0.2"
    )
    stage.exchange.collect()
    read += pieces
    assert orjson.loads(b"".join(read))["orders"] == before["orders"]
    assert stage.ledger()["orders"] != before["orders"]


def test_the_oldest_ended_orders_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_history, "ORDERS_KEPT", 10)
    monkeypatch.setattr(account_history, "ORDERS_RETAINED", 20)
    stage = Stage()
    stage.buy("0.001", "50000", id="open")
    for number in range(100):
        stage.buy("0.001", "50000", id=f"n{number}")
        stage.venue.cancel("main", SYMBOL, now_ns=stage.tick(), client_order_id=f"n{number}")
    _, told, _ = stage.rest("GET", "allOrders", symbol=SYMBOL)
    assert told[0]["clientOrderId"] == "open"
    assert len(told) == 31
    _, gone, _ = stage.rest("GET", "order", symbol=SYMBOL, origClientOrderId="n0")
    assert gone["code"] == -2013
    _, found, _ = stage.rest("GET", "order", symbol=SYMBOL, origClientOrderId="n99")
    assert found["status"] == "CANCELED"
