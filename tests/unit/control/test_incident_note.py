"""The note that a client shows: the pack's own text, over what the daemon still holds."""

from typing import Any

from control.tool.incident_markdown import held_note
from daemon.model.incident_note import TIMELINE_MAX, note

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
SNAPSHOT: dict[str, Any] = {
    "environment": "sim",
    "run_id": "r-1",
    "version": "1.2.3",
    "binding": {"config_hash": "cafe", "caps_hash": "beef", "account": "abcd"},
}


def event(kind: str, after_s: float = 0.0, **fields: Any) -> dict[str, Any]:
    ts_ns = OPENED_NS + int(after_s * 1e9)
    return {"seq": 7, "ts": "2001-09-09T01:46:40Z", "ts_ns": ts_ns, "event_type": kind, **fields}


OPENED = event("incident_opened", **{k: INCIDENT[k] for k in ("incident_id", "trigger", "msg")})


def test_it_is_the_text_of_the_pack() -> None:
    lines = [event("disconnected", -3), OPENED, event("trading_state", 1, new="HALTED")]
    binding = {"version": "1.2.3", **SNAPSHOT["binding"]}
    assert held_note(INCIDENT, lines, SNAPSHOT) == note(OPENED, lines, binding)


def test_an_open_incident_has_three_answers_to_fill_in() -> None:
    text = held_note(INCIDENT, [OPENED], SNAPSHOT)
    assert text.startswith("# Incident r-1-i1\n")
    assert "OPEN: the next start is refused" in text
    assert text.count("to fill in") == 3
    assert "- **Config hash:** cafe" in text


def test_a_resolved_one_has_them() -> None:
    answers = {"root_cause": "venue", "remediation": "waited", "follow_up": "none"}
    resolved = event("incident_resolved", 3_600, incident_id="r-1-i1", by="ada", **answers)
    text = held_note({**INCIDENT, "resolved_by": "ada"}, [OPENED, resolved], SNAPSHOT)
    assert "by ada" in text
    assert "## Root cause\n\nvenue\n" in text
    assert "to fill in" not in text


def test_the_timeline_is_what_is_near_and_what_is_about_it() -> None:
    lines = [
        event("far_before", -70),
        event("near_before", -20),
        OPENED,
        event("near_after", 50),
        event("far_after", 70),
        event("command", 4_000, incident_id="r-1-i1"),
        event("other", 4_000, incident_id="r-1-i2"),
    ]
    text = held_note(INCIDENT, lines, SNAPSHOT)
    for shown in ("near_before", "near_after", "command"):
        assert shown in text
    for left_out in ("far_before", "far_after", "other"):
        assert left_out not in text


def test_a_long_timeline_is_cut_and_says_so() -> None:
    lines = [OPENED, *[event("order_approved")] * (TIMELINE_MAX + 4)]
    text = held_note(INCIDENT, lines, SNAPSHOT)
    assert "5 lines are left out here" in text
    assert text.count("| order_approved |") == TIMELINE_MAX - 1


def test_without_its_line_it_says_where_the_whole_note_is() -> None:
    text = held_note(INCIDENT, [], SNAPSHOT)
    assert "reconnect\\_storm" in text or "reconnect_storm" in text
    assert "incidents/r-1-i1/note.md" in text
    assert "- count: 6" in text


def test_text_of_others_does_not_break_the_document() -> None:
    evil = "a\n# Heading\n```\n| x"
    text = held_note({**INCIDENT, "msg": evil, "context": {evil: evil}}, [], SNAPSHOT)
    assert text.count("\n# ") == 0
    assert "```" not in text
    assert "\\|" in text


def test_a_bots_incident_names_the_bot_and_what_became_of_it() -> None:
    about = {**INCIDENT, "context": {"bot": "ft|x", "client_order_id": "st1"}}
    opened = {**OPENED, "context": about["context"]}
    switched = event("bot_switched", 1, bot="ft", state="suspended", reason="faults in a row")
    text = held_note(about, [opened, switched], SNAPSHOT)
    assert "- **Bot:** ft\\|x\n" in text
    assert "- Bot ft became suspended: faults in a row.\n" in text
    assert "**Bot:**" not in held_note(INCIDENT, [OPENED], SNAPSHOT)
