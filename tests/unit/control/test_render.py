import io
from decimal import Decimal
from typing import Any

import pytest
from rich.console import Console

from control.status_snapshot import find_incident, rows, select_incidents, share_of
from control.tool.kill_command import kill_line
from control.tool.status_command import console
from control.tool.status_text import (
    activity_line,
    alarm_lines,
    amount,
    bar,
    caps_table,
    clean,
    duration,
    event_line,
    guard_line,
    health_line,
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0.0100", "0.01"),
        ("60000.10", "60,000.1"),
        ("1E+3", "1,000"),
        ("-0.00000001", "-0.00000001"),
        ("600.1166666666666666666666", "600.11666667"),
        ("0", "0"),
        (7, "7"),
        (None, ""),
        ("", ""),
        ("n/a", "n/a"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
    ],
)
def test_amounts_for_people(value: Any, shown: str) -> None:
    assert amount(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [("840.0708404", "840.07"), ("0.0799612345", "0.08"), ("5000000", "5,000,000"), ("12", "12")],
)
def test_amounts_where_there_is_little_room(value: str, shown: str) -> None:
    assert amount(value, digits=5) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0s"), (59.9, "59s"), (61, "1m01s"), (3_723, "1h02m"), (183_600, "2d03h")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("cap", "share"),
    [
        ({"used": "1", "limit": "4"}, Decimal("0.25")),
        ({"used": "-3", "limit": "4"}, Decimal("0.75")),
        ({"used": "0", "limit": "0"}, Decimal(0)),
        ({"used": "1", "limit": "0"}, Decimal(1)),
        ({"used": "x", "limit": "4"}, None),
        ({"used": "1", "limit": "Infinity"}, None),
        ({}, None),
    ],
)
def test_any_use_of_a_zero_limit_is_full_and_what_is_no_number_has_no_share(
    cap: dict[str, str], share: Decimal | None
) -> None:
    assert share_of(cap) == share


@pytest.mark.parametrize(
    ("share", "filled", "text"), [("0", 0, "0%"), ("0.5", 5, "50%"), ("1", 10, "100%")]
)
def test_bars(share: str, filled: int, text: str) -> None:
    made = bar(Decimal(share), width=10)
    assert made.plain.count("█") == filled
    assert made.plain.endswith(text)


def test_a_bar_beyond_its_cap_stays_in_its_place() -> None:
    assert bar(Decimal(3), width=10).plain.startswith("█" * 10 + " 300%")


def test_control_characters_are_replaced() -> None:
    assert "\x1b" not in clean("a\x1b[2Jb\nc")
    assert clean(None) == ""
    assert clean("Straße €") == "Straße €"


def test_an_order_event_reads_as_a_sentence() -> None:
    line = event_line(
        {
            "seq": 12,
            "ts": "2026-01-02T03:04:05.678901Z",
            "event_type": "order_state",
            "client_order_id": "st1",
            "symbol": "BTCUSDT",
            "old": "ACCEPTED",
            "new": "FILLED",
            "why": "TRADE",
        }
    ).plain
    assert line.split() == [
        *("12", "03:04:05.678", "order_state", "st1", "BTCUSDT"),
        *("ACCEPTED→FILLED", "why=TRADE"),
    ]


def test_a_changed_cap_is_named_with_its_values() -> None:
    changes = {"symbols.BTCUSDT.order_qty_base_max": "0.00001"}
    event = {"event_type": "caps_changed", "changes": changes, "reason": "t"}
    were = {"were": {"symbols.BTCUSDT.order_qty_base_max": "0.01"}}
    assert "BTCUSDT.order_qty_base_max 0.01→0.00001 t" in event_line(event | were).plain
    assert "BTCUSDT.order_qty_base_max →0.00001 t" in event_line(event).plain, "an older line"


@pytest.mark.parametrize(
    "event", [{}, {"seq": None, "msg": {"a": 1}}, {"event_type": 7, "reason": [1]}, {"dropped": 3}]
)
def test_odd_events_are_lines_too(event: dict[str, Any]) -> None:
    assert event_line(event).plain


def test_a_kill_that_is_not_verified_never_reads_as_killed() -> None:
    assert kill_line({}).startswith("KILL NOT VERIFIED")
    assert kill_line({"verified": False, "empty_ms": 3}).startswith("KILL NOT VERIFIED")
    assert kill_line({"verified": True}).startswith("KILLED")


@pytest.mark.parametrize(
    ("value", "count"),
    [
        ([{"a": 1}, 7, {"b": 2}], 2),
        ({"x": {"a": 1}}, 1),
        ("text", 0),
        (None, 0),
        (7, 0),
    ],
)
def test_rows_of_whatever_a_snapshot_holds(value: Any, count: int) -> None:
    assert len(rows({"key": value}, "key")) == count


def test_incidents_of_either_shape() -> None:
    snapshot = {
        "incidents": [
            {"incident_id": "a", "resolved_by": ""},
            {"incident_id": "b", "resolved_by": "ada"},
            {"id": "c", "resolved": True},
        ]
    }
    unresolved = select_incidents(snapshot, unresolved=True)
    assert [row["incident_id"] for row in unresolved] == ["a"]
    found = find_incident(snapshot, "c")
    assert found is not None
    assert found["resolved"] is True
    assert find_incident(snapshot, "d") is None


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_per_cent_of_every_cap_is_shown_however_narrow_the_terminal(width: int) -> None:
    caps = [
        {"cap": "traded_notional_per_day_numeraire_max", "symbol": "", "used": "1500000",
         "limit": "2000000", "unit": "numeraire"},
        {"cap": "executions_without_human_max", "symbol": "", "used": "200", "limit": "20000",
         "unit": "executions"},
        {"cap": "position_short_base_max", "symbol": "BTCUSDT", "used": "0.02", "limit": "0.02",
         "unit": "base"},
    ]  # fmt: skip
    screen = Console(width=width, file=io.StringIO(), color_system=None)
    screen.print(caps_table({"caps": caps}))
    lines = screen.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [line.split()[-1] for line in lines[1:]] == ["75%", "1%", "100%"]
    assert "2,000,000 numeraire" in lines[1]
    assert max(map(len, lines)) <= width


def test_a_link_that_is_down_says_why() -> None:
    links = {
        "rest": {"up": False, "last_error": "venue refused: Invalid symbol."},
        "market": {"up": True, "last_error": "long ago"},
        "order": {"up": False, "last_error": ""},
    }
    told = [line.plain for line in alarm_lines({"venue": {"links": links}})]
    assert told == ["LINK rest DOWN: venue refused: Invalid symbol."]


def test_the_latch_says_who() -> None:
    snapshot = {"latched": True, "latch": {"by_name": "ada", "reason": "spread"}}
    assert "KILL LATCHED by ada: spread" in alarm_lines(snapshot)[0].plain


def test_warnings_and_guards_are_shown() -> None:
    (warned,) = alarm_lines({"warnings": ["the key comes from the environment"]})
    assert warned.plain == "WARNING: the key comes from the environment"
    switch = "none at this venue; the local watchdog is the only net"
    keys = {"enabled": False, "armed": False, "needed": False}
    for gating, said in (
        (keys, ""),
        (keys | {"enabled": True}, "gating enabled=true armed=false (irrelevant here) · "),
        (keys | {"needed": True},
         "gating enabled=false armed=false (a start needs a confirm token) · "),
    ):  # fmt: skip
        guards = guard_line({"gating": gating, "dead_mans_switch": switch})
        assert guards is not None
        assert guards.plain == f"{said}dead man's switch: none at this venue"


def test_a_journal_that_fills_its_disk_within_two_weeks_is_loud_and_says_why() -> None:
    snapshot = {
        "journal_seq": 7, "journal_bytes": 9_000_000_000, "journal_bytes_per_day": 500_000_000,
        "ticks_kept_for": ["crossover"],
    }  # fmt: skip
    quiet = health_line({**snapshot, "journal_days_left": 14})
    short = health_line({**snapshot, "journal_days_left": 13})
    assert quiet is not None
    assert short is not None
    assert quiet.plain == "journal #7 9,000 MB, 500 MB a day, 14 days left"
    assert "13 days left (every tick is kept for crossover): `seatrial journal archive`" in (
        short.plain
    )
    assert "bold red" in {str(span.style) for span in short.spans}
    assert "bold red" not in {str(span.style) for span in quiet.spans}


def test_a_ready_gate_is_not_called_not_ready_and_the_result_is_called_so() -> None:
    told = {"not_ready": [{"reason": "not_clean", "text": "not_clean: web_1"}]}
    (ready,) = alarm_lines({"gate_state": "READY", **told})
    (stale,) = alarm_lines({"gate_state": "STALE", **told})
    assert (ready.plain, stale.plain) == ("NO START not_clean: web_1", "NOT READY not_clean: web_1")
    line = activity_line({"equity": {"equity": "-0.005", "numeraire": "USDT"}})
    assert line is not None
    assert line.plain == "result since start -0.005 USDT"


@pytest.mark.parametrize(
    ("told", "width"), [("120", 120), ("", 80), ("wide", 80), ("0", 80), ("-5", 80)]
)
def test_a_width_that_is_none_is_eighty(
    monkeypatch: pytest.MonkeyPatch, told: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", told)
    assert console().width == width
