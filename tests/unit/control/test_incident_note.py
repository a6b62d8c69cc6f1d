from typing import Any

from control.incident_note import TIMELINE_MAX, markdown_note

OPENED_NS = 1_000_000_000_000_000_000
INCIDENT: dict[str, Any] = {
    "incident_id": "r-1-i1",
    "trigger": "reconnect_storm",
    "msg": "link market | again",
    "symbol": "",
    "opened_ns": OPENED_NS,
    "context": {"count": 6},
    "resolved_by": "",
}
SNAPSHOT: dict[str, Any] = {"environment": "sim", "run_id": "r-1", "trading_state": "HALTED"}


def event(kind: str, after_s: float = 0.0, **fields: Any) -> dict[str, Any]:
    ts_ns = OPENED_NS + int(after_s * 1e9)
    return {"seq": 1, "ts": "2001-09-09T01:46:40Z", "ts_ns": ts_ns, "event_type": kind, **fields}


def test_an_open_incident_has_three_answers_to_fill_in() -> None:
    note = markdown_note(INCIDENT, [event("incident_opened", incident_id="r-1-i1")], SNAPSHOT)
    assert note.startswith("# Incident r-1-i1\n")
    assert "OPEN: the next start is refused" in note
    assert note.count("to fill in") == 3
    assert "2001-09-09T01:46:40Z" in note
    assert "- count: 6" in note


def test_a_resolved_one_has_them() -> None:
    resolved = event(
        "incident_resolved",
        3_600,
        incident_id="r-1-i1",
        root_cause="venue",
        remediation="waited",
        follow_up="none",
    )
    note = markdown_note({**INCIDENT, "resolved_by": "ada"}, [resolved], SNAPSHOT)
    assert "resolved by ada" in note
    assert "## Root cause\n\nvenue\n" in note
    assert "## Remediation\n\nwaited\n" in note
    assert "to fill in" not in note


def test_the_timeline_is_what_is_near_and_what_is_about_it() -> None:
    events = [
        event("far_before", -40),
        event("near_before", -20),
        event("near_after", 50),
        event("far_after", 70),
        event("command", 4_000, incident_id="r-1-i1"),
        event("other", 4_000, incident_id="r-1-i2"),
    ]
    note = markdown_note(INCIDENT, events, SNAPSHOT)
    for shown in ("near_before", "near_after", "command"):
        assert shown in note
    for left_out in ("far_before", "far_after", "other"):
        assert left_out not in note


def test_a_long_timeline_is_cut_and_says_so() -> None:
    note = markdown_note(INCIDENT, [event("order_approved")] * (TIMELINE_MAX + 5), SNAPSHOT)
    assert "… 5 earlier events" in note
    assert note.count(" order_approved") == TIMELINE_MAX


def test_without_events_it_says_where_they_are() -> None:
    assert "no longer held" in markdown_note(INCIDENT, [], {})


def test_text_of_others_does_not_break_the_document() -> None:
    evil = "a\n# Heading\n```\n| x"
    note = markdown_note({**INCIDENT, "msg": evil, "context": {evil: evil}}, [], SNAPSHOT)
    assert note.count("\n# ") == 0
    assert "```" not in note
    assert "\\|" in note
