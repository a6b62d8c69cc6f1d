"""The demo's screen fits the terminal, and its end says what to open and do next."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from daemon.cli.demo_command import told
from daemon.demo.demo_screen import Screen

STATUS: dict[str, Any] = {
    "gate_state": "READY",
    "trading_state": "ACTIVE",
    "session_orders": 77,
    "session_fills": 19,
    "open_orders": [{}] * 7,
    "denied": {"price_collar": 3},
    "incidents_open": 0,
    "orders": {"ACCEPTED": 7},
    "journal_seq": 4_711,
    "positions": {
        symbol: {"qty": "0.00200000", "realised_pnl": "-0.123456789012345678"}
        for symbol in ("BTCUSDT", "ETHUSDT", "BNBUSDT")
    },
    "caps": [
        {"cap": f"exposure_gross_numeraire_max_{n}", "symbol": "BTCUSDT",
         "used": "1234.123456789012345678", "limit": "4000", "unit": "USDT"}
        for n in range(20)
    ],
}  # fmt: skip
EVENTS = [
    {"ts": "2026-11-30T09:00:00.000001Z", "event_type": "order_denied", "symbol": "BTCUSDT",
     "side": "BUY", "qty": "0.00200000", "price": "60000.12", "deny_reason": "price_collar",
     "client_order_id": "x" * 30}
    for _ in range(6)
]  # fmt: skip
RESULT: dict[str, Any] = {
    "session_id": "abc-1-s1", "orders_submitted": 77, "fills": 19, "denied": 3,
    "orders_missing_from_journal": 0, "fills_missing_from_journal": 0,
    "cap_breaches_at_venue": 0, "open_orders_after_kill": 0, "kill_gate_ms": 0.0041,
    "kill_empty_ms": 5.25, "verdict": "OK", "anchored_by": ["the simulated venue's orders"],
    "uncovered_lines": 48,
}  # fmt: skip


def screen(width: int, height: int) -> tuple[Screen, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=True, color_system=None)
    return Screen(as_json=False, console=console), out


def frame(width: int, height: int) -> list[str]:
    made, out = screen(width, height)
    for number in range(20):
        made.say(f"step {number} " + "long " * 30)
    made.say("kill with 7 orders open: gate closed in 0.004 ms, venue verified empty in 5.2 ms")
    made.show(STATUS, EVENTS, seconds_left=12)
    out.truncate(0)
    out.seek(0)
    made._console.print(made.frame())
    return out.getvalue().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (120, 40), (60, 20)])
def test_the_live_view_fits_and_shows_state_and_the_kill(width: int, height: int) -> None:
    lines = frame(width, height)
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    assert "READY ACTIVE" in lines[0]
    assert any("kill with 7 orders" in line for line in lines)
    assert any("exposure_gross" in line for line in lines)


def test_amounts_are_rounded_for_people() -> None:
    text = "\n".join(frame(120, 40))
    assert "realised -0.12346" in text
    assert "1,234.1 / 4,000" in text
    assert "345678" not in text


def test_a_log_gets_a_line_once_the_session_is_under_way() -> None:
    out = io.StringIO()
    plain = Screen(as_json=False, console=Console(file=out, width=200))
    with plain:
        plain.show({**STATUS, "trading_state": "HALTED"}, [], seconds_left=8)
        assert out.getvalue() == ""
        plain._next_plain_ns = 1
        plain.show(STATUS, EVENTS, seconds_left=7)
    assert out.getvalue().startswith("READY ACTIVE: orders 77, open 7, fills 19, denied 3")


def test_the_story_stays_when_the_live_view_is_gone() -> None:
    made, out = screen(80, 24)
    with made:
        made.say("first step")
        made.show(STATUS, EVENTS, seconds_left=3)
        out.truncate(0)
        out.seek(0)
    assert "first step" in out.getvalue().splitlines()[-1]


def test_the_end_names_the_report_and_the_next_command(
    tmp_path: Path,
) -> None:
    files = {
        "journal": str(tmp_path / "state/journal/journal-000001.jsonl"),
        "ledger": str(tmp_path / "ledger.json"),
        "evidence_json": str(tmp_path / "evidence/evidence_report.json"),
        "evidence_md": str(tmp_path / "evidence/evidence_report.md"),
        "evidence_html": str(tmp_path / "evidence/evidence_report.html"),
    }
    lines = told({**RESULT, **files}, here=tmp_path)
    assert "verdict: OK" in lines
    assert any("but for the last 48 lines" in line for line in lines)
    assert "  report    evidence/evidence_report.html" in lines
    assert any(line.endswith("-m evidence.recheck state/journal") for line in lines)
    assert max(map(len, lines)) <= 80
    assert not any("_" in line.split()[0] for line in lines if line.strip())


def test_a_stop_that_was_not_proven_is_said() -> None:
    files = dict.fromkeys(("journal", "ledger", "evidence_md", "evidence_html"), "/x")
    lines = told({**RESULT, **files, "kill_empty_ms": None, "verdict": "NO_GO"})
    assert "NOT verified empty" in "\n".join(lines)


def test_an_end_that_was_lost_in_a_callback_is_raised_by_the_next_step() -> None:
    """As the exit of a signal's handler is that strikes while a module is imported."""
    screen = Screen(as_json=False, console=Console(file=io.StringIO()))
    screen.say("one")
    with pytest.raises(SystemExit):
        screen.end(1)
    for step in (lambda: screen.say("two"), lambda: screen.show({}, (), seconds_left=1)):
        with pytest.raises(SystemExit) as ended:
            step()
        assert ended.value.code == 1
