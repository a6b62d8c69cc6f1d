"""One incident, for a person: words and times, no nanoseconds and no braces."""

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from control.status_snapshot import select_incidents
from control.tool.incident_view import incident_lines, lines_about, still_differs, when
from control.tool.status_text import incidents_table

INCIDENT: dict[str, Any] = {
    "incident_id": "38cd8k-12-i1234", "trigger": "position_mismatch", "symbol": "BTCUSDT",
    "msg": "books 0.003, venue 0.002 \x1b[31m", "opened_ns": 1_764_493_200_123_000_000,
    "context": {"differences": [{"symbol": "BTCUSDT", "books": "0.003", "venue": "0.002"}],
                "seen_ns": 1_764_493_200_000_000_000, "empty": {}},
    "resolved_by": "", "notes": [],
}  # fmt: skip


def test_it_says_what_when_and_the_next_command() -> None:
    text = "\n".join(incident_lines(INCIDENT))
    assert "38cd8k-12-i1234  OPEN  position_mismatch" in text
    assert "opened    2025-11-30 09:00:00.123 UTC" in text
    assert "symbol BTCUSDT, books 0.003, venue 0.002" in text
    assert "seatrial incident resolve 38cd8k-12-i1234" in text
    assert "176449" not in text
    assert "{" not in text
    assert "\x1b" not in text


NOT_CLEAN = {"not_ready": [{"reason": "not_clean", "text": "t", "detail": "web_1"}]}


def test_what_differs_is_mended_and_compared_before_it_is_resolved() -> None:
    foreign = INCIDENT | {"context": {"differences": [
        {"kind": "foreign_order", "class": "external", "symbol": "BTCUSDT",
         "client_order_id": "web_1", "ours": "", "venue": "BUY 0.001"}]}}  # fmt: skip
    answers = "--root-cause … --remediation … --follow-up …"
    lines = list(incident_lines(foreign, NOT_CLEAN, Path("/box/state")))
    (at,) = [number for number, line in enumerate(lines) if line.startswith("next ")]
    assert lines[at : at + 3] == [
        "next      mend what differs: web_1",
        "          seatrial reconcile",
        f"then      seatrial incident resolve {foreign['incident_id']} {answers}",
    ]
    text = "\n".join(lines)
    assert "/box/state/incidents/38cd8k-12-i1234/note.md" in text
    assert "--since 2025-11-30T08:59:00Z" in text
    assert (
        "differs   kind foreign_order, class external, symbol BTCUSDT, client order id web_1, "
        "ours none, venue BUY 0.001"
    ) in text
    assert still_differs(foreign, NOT_CLEAN) == "web_1"
    assert still_differs(foreign, {}) == still_differs({"context": {}}, NOT_CLEAN) == ""
    clean = list(incident_lines(foreign, {"not_ready": []}))
    assert any(line.startswith("next      seatrial incident resolve") for line in clean)


def test_a_resolved_one_says_by_whom_and_names_no_next_command() -> None:
    done = INCIDENT | {"resolved_by": "eve", "notes": ["root cause: x"]}
    text = "\n".join(incident_lines(done))
    assert "resolved  by eve\n" in text
    assert "notes     root cause: x" in text
    assert "answers   incidents/38cd8k-12-i1234/note.md" in text
    assert "next" not in text


def test_a_time_that_is_none_is_left_out() -> None:
    assert [when(value) for value in (0, None, True, "x")] == ["", "", "", ""]


def test_the_list_never_cuts_the_id_that_show_and_resolve_need() -> None:
    long = INCIDENT | {"msg": "m" * 200, "trigger": "t" * 18}
    out = io.StringIO()
    Console(file=out, width=60).print(incidents_table([long, INCIDENT]))
    assert out.getvalue().count("38cd8k-12-i1234") == 2
    assert out.getvalue().count("OPEN") + out.getvalue().count("resolved") == 2
    assert INCIDENT["trigger"] in out.getvalue()
    assert out.getvalue().count("m") >= 200, "the words are whole, too"


def test_the_list_says_when_and_the_oldest_comes_first() -> None:
    told = [  # as the daemon has them: what is open first
        {**INCIDENT, "incident_id": "b", "opened_ns": 1_764_493_260_000_000_000},
        {**INCIDENT, "incident_id": "a", "opened_ns": 1_764_493_200_000_000_000,
         "resolved_by": "eve"},
        {**INCIDENT, "incident_id": "old", "opened_ns": None},
    ]  # fmt: skip
    found = select_incidents({"incidents": told}, unresolved=False)
    assert [one["incident_id"] for one in found] == ["old", "a", "b"]
    out = io.StringIO()
    Console(file=out, width=100).print(incidents_table(found))
    lines = out.getvalue().splitlines()[1:]
    assert ["11-30 09:00:00" in line for line in lines] == [False, True, False]
    assert "11-30 09:01:00" in lines[2]


def test_the_last_thirty_lines_about_it_come_in_order_and_no_others() -> None:
    opened_ns = 1_796_048_640_000_000_000
    incident = {"incident_id": "i-1", "symbol": "BTCUSDT", "opened_ns": opened_ns}

    def line(seq: int, before_s: int, **more: object) -> dict[str, object]:
        return {"seq": seq, "ts_ns": opened_ns - before_s * 1_000_000_000, **more}

    events = [
        line(1, 61),  # too old
        line(2, 5, symbol="ETHUSDT"),  # another symbol's
        line(3, 5, symbol="BTCUSDT"),
        line(4, 1),  # of no symbol
        line(5, 0, incident_id="i-1"),
        line(6, -9, symbol="BTCUSDT"),  # after it
        line(7, -99, incident_id="i-1"),
    ]
    assert [one["seq"] for one in lines_about(incident, events)] == [3, 4, 5, 7]
    many = [line(seq, 1) for seq in range(50)]
    assert [one["seq"] for one in lines_about(incident, many)] == list(range(20, 50))
