"""Every row runs, small, and says something valid; how fast, only a quiet machine says."""

import math
from collections.abc import Sequence

import pytest

from daemon.shell.process.clock import SystemClock
from tests.bench import (
    boot_rate,
    cancel_rate,
    in_flight,
    market_rate,
    memory,
    report_rate,
    scrape_rate,
    stages,
    stop,
    whole_path,
)
from tests.bench.report import Row


def check(rows: Sequence[Row], names: Sequence[str]) -> None:
    assert [row.row for row in rows] == list(names)
    for row in rows:
        assert math.isfinite(row.value)
        assert row.value > 0
        assert (row.met is None) == (not row.target)
        if row.baseline is not None:
            assert row.baseline > 0
            assert row.baseline_name


def test_market_data_from_the_socket_into_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_rate, "QUICK_FRAMES", 400)
    monkeypatch.setattr(market_rate, "QUICK_ROUNDS", 1)
    stepped, pumped = market_rate.rows(quick=True)
    check([stepped, pumped], ["b1", "b1"])
    assert stepped.details["turns_per_message"] == 1
    assert 0 < pumped.details["turns_per_message"] <= 1


def test_reports_from_bytes_to_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_rate, "QUICK_ORDERS", 10)
    monkeypatch.setattr(report_rate, "WARM_UP", 2)
    rows = report_rate.rows(quick=True)
    check(rows, ["b2", "b2", "b2"])
    assert rows[2].value < rows[0].value < rows[1].value, "each is a part of the next"
    assert set(rows[0].details) == set(report_rate.KINDS)


def test_processor_time_of_orders_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_flight, "QUICK_ROUNDS", 1)
    monkeypatch.setattr(in_flight, "QUICK_SHARE", 20)
    rows = in_flight.rows(quick=True)
    check(rows, ["cpu"])
    assert set(rows[0].details) == {"prebuilt bytes", "seatrial", "ccxt async"}


@pytest.mark.slow
def test_the_whole_daemon_answers_every_trigger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_path, "QUICK_TRIGGERS", 10)
    monkeypatch.setattr(whole_path, "WARM_UP", 3)
    rows = whole_path.rows(quick=True)
    check(rows, ["a2", "a2", "a2"])
    assert set(rows[0].details) == {"seatrial", "floor", "ccxt async", whole_path.SPINNING}
    assert all(0 < one["p50_us"] <= one["p99_us"] for one in rows[0].details.values())


@pytest.mark.slow
def test_the_venue_is_empty_after_cancel_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancel_rate, "QUICK_ROUNDS", 1)
    rows = cancel_rate.rows(quick=True)
    check(rows, ["e1", "e1"])
    assert {name: len(took) for name, took in rows[0].details.items()} == {
        "seatrial": 1, "each": 1, "bulk": 1,
    }  # fmt: skip


@pytest.mark.slow
def test_a_daemon_with_a_past_becomes_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot_rate, "QUICK_ROUNDS", 1)
    monkeypatch.setattr(boot_rate, "QUICK_LINES", 1_000)
    rows = boot_rate.rows(quick=True)
    check(rows, ["f", "f"])
    assert rows[0].details["facts"] > 300


def test_memory_is_read_at_a_quarter_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "QUICK_EVENTS", 2_000)
    steady, grown = memory.rows(quick=True)
    check([steady], ["mem"])
    assert math.isfinite(grown.value)
    assert list(steady.details["rss_mb"]) == ["0", "500", "1000", "2000"]


class UnstalledClock(SystemClock):
    """A clock on which the machine never stands still for more than a tenth of a second.

    Here no venue would answer a daemon that compares its books after a gap.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen_ns, self._lost_ns = super().now_ns(), 0

    def now_ns(self) -> int:
        now_ns = super().now_ns() - self._lost_ns
        stalled_ns = max(0, now_ns - self._seen_ns - 100_000_000)
        self._lost_ns += stalled_ns
        self._seen_ns = now_ns - stalled_ns
        return self._seen_ns


def test_the_stages_of_an_order_are_parts_of_the_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "SystemClock", UnstalledClock)
    assert stages.main(orders=32) == 0
    shown = capsys.readouterr().out
    sections = {one.split("  ")[0]: one for one in shown.split("\n\n")}
    assert {"order path (row a)", "a tick", "report: partial fill"} <= {
        name.strip() for name in sections
    }
    rows = sections["a tick that is answered"].splitlines()[1:]
    p50 = {row[:38].strip(): float(row[47:56]) for row in rows}
    assert {"cap decision", "strategy and its wishes", "engine step", stages.WHOLE} <= p50.keys()
    assert min(p50.values()) > 0


@pytest.mark.slow
def test_orders_are_timed_while_the_metrics_are_scraped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape_rate, "QUICK_TRIGGERS", 10)
    monkeypatch.setattr(scrape_rate, "QUICK_ROUNDS", 1)
    rows = scrape_rate.path_rows(scrape_rate.order_paths(quick=True))
    check(rows, ["m"] * 6)
    assert {row.details["orders"] for row in rows} == {10}


@pytest.mark.slow
def test_a_road_to_a_stop_has_two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop, "ROADS", {"normal": stop.ROADS["normal"]})
    rows = stop.rows(quick=True)
    check(rows, ["e", "e"])
    assert [row.details["left_open"] for row in rows] == [0, 0]
