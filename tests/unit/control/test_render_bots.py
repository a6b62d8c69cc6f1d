"""The bots' table of the one screen."""

import io

from rich.console import Console

from control.tool.status_text import bots_table, orders_table, status_screen
from tests.support.published_status import published_status


def test_the_screen_shows_each_bot_on_a_line() -> None:
    out = io.StringIO()
    Console(file=out, width=120, no_color=True).print(status_screen(published_status()))
    line = next(one for one in out.getvalue().splitlines() if one.startswith("ft "))
    assert line.split() == ["ft", "active", "1", "9", "4", "2", "3", "1m01s"]


def test_without_bots_there_is_no_table() -> None:
    assert bots_table({}) is None


def test_a_bots_order_names_its_bot() -> None:
    order = {"client_order_id": "st1", "symbol": "BTCUSDT", "side": "BUY", "qty": "1",
             "price": "2", "status": "ACCEPTED"}  # fmt: skip
    out = io.StringIO()
    made = orders_table(
        {"open_orders": [{**order, "strategy_id": "bot:ft"}, {**order, "strategy_id": "quoter"}]}, 9
    )
    Console(file=out, width=120, no_color=True).print(made)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert lines[1].endswith("ACCEPTED (ft)")
    assert lines[2].endswith("ACCEPTED")
