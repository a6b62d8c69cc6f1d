"""Lies about incidents, and the faults that open them (see liar_story.py)."""

from tests.support.liar_story import (
    NotHereError,
    Story,
    lie,
    make_good,
    outside,
    renumber_incidents,
)


def _incident(told: Story) -> str:
    return str(told.lines[told.first("incident_opened")]["incident_id"])


ENVELOPE = (
    "ts", "ts_ns", "schema", "run_id", "session_id", "mode", "exchange", "level", "is_error",
    "is_anomaly",
)  # fmt: skip


@lie
def an_incident_goes(told: Story) -> None:
    """An incident and its resolution are taken out."""
    name = _incident(told)
    told.take_out(lambda line: line.get("incident_id") == name)


@lie
def an_incident_goes_with_every_total(told: Story) -> None:
    """The same, the others are numbered anew, and every heartbeat counts one less."""
    name = _incident(told)
    told.take_out(lambda line: line.get("incident_id") == name)
    renumber_incidents(told)
    make_good(told)


@lie
def an_incident_goes_and_the_stop_was_ordinary(told: Story) -> None:
    """The same, and the session that it ended was stopped by its operator."""
    name = _incident(told)
    told.take_out(lambda line: line.get("incident_id") == name)
    for stop in told.of_kind("session_stop"):
        if name in stop["reason"]:
            stop["reason"] = "stop: done"
    renumber_incidents(told)
    make_good(told)


@lie
def an_incident_goes_from_every_line_that_names_it(told: Story) -> None:
    """The same, and the trading state changed for the operator; its resolution stays asked for."""
    name = _incident(told)
    told.take_out(lambda line: line.get("incident_id") == name)
    for line in told.lines:
        for key in ("reason", "why"):
            if name in str(line.get(key)):
                line[key] = "stop: done"
    renumber_incidents(told)
    make_good(told)


@lie
def an_incident_goes_with_all_that_came_of_it(told: Story) -> None:
    """The same, and its alert, its resolution and who asked for it are taken out as well."""
    place = told.first("incident_opened")
    name, at_ns = told.lines[place]["incident_id"], told.lines[place]["ts_ns"]
    refused = {
        line["command_id"]
        for line in told.of_kind("command")
        if "incident_open" in str(line.get("msg"))
    }
    told.take_out(
        lambda line: (
            line.get("incident_id") == name
            or (line["event_type"] == "cap_alert" and line["ts_ns"] == at_ns)
            or (line["event_type"] == "cap_alert" and line.get("kind") == "breach")
            or (line["event_type"] == "command" and line["method"] == "incident-resolve")
            or line.get("command_id") in refused
        )
    )
    stop = {"event_type": "command", "command_id": "made-up", "method": "stop", "reason": "done",
            "outcome": "accepted", "msg": "", "uid": 1000, "by": "op"}  # fmt: skip
    for number, line in enumerate(told.lines):
        if name in str(line.get("why")):
            envelope = {key: line[key] for key in ("ts_ns", "run_id", "session_id", "mode")}
            made = {**line, **envelope, **stop}
            told.lines.insert(number, {k: made[k] for k in made if k not in {"old", "new", "why"}})
            break
    for line in told.lines:
        for key in ("reason", "why"):
            if name in str(line.get(key)):
                line[key] = "stop: done"
        if line.get("by") == "engine" and line.get("why", line.get("reason")) == "stop: done":
            line["by"] = "op"
    renumber_incidents(told)
    make_good(told)


@outside
def an_incident_goes_with_every_input(told: Story) -> None:
    """The same, and the engine was told of a stop, and not of what came of the incident."""
    gone = {
        line["command_id"]
        for line in told.of_kind("command")
        if line["method"] == "incident-resolve" or "incident_open" in str(line.get("msg"))
    }
    an_incident_goes_with_all_that_came_of_it(told)
    told.lines[:] = [
        line for line in told.lines if line.get("input", {}).get("command_id") not in gone
    ]
    place = told.first("command", command_id="made-up")
    asked = told.lines[place]
    actor = {"uid": asked["uid"], "pid": 1, "role": "operator", "name": asked["by"]}
    item = {"type": "Command", "command_id": "made-up", "method": "stop", "actor": actor,
            "params": {}, "reason": asked["reason"]}  # fmt: skip
    envelope = {key: asked[key] for key in ENVELOPE if key in asked}
    told.lines.insert(place + 1, {**envelope, "event_type": "input", "input": item})


@lie
def an_incident_was_no_error(told: Story) -> None:
    """An incident's line does not say that it is an error."""
    told.lines[told.first("incident_opened")].update(level="info", is_error=False)


@lie
def an_incident_is_resolved_by_nobody(told: Story) -> None:
    """An incident is resolved, and nobody asked for it."""
    told.first("incident_resolved")
    told.take_out(lambda line: line.get("method") == "incident-resolve")


@lie
def a_resolution_goes(told: Story) -> None:
    """The next session begins over an incident whose resolution is taken out."""
    place = told.first("incident_resolved")
    if not any(n > place for n in told.all("session_start")):
        raise NotHereError("no session after it")
    del told.lines[place]


@lie
def a_session_goes_on_after_an_incident(told: Story) -> None:
    """The stop that an incident brought about is taken out, and the session goes on."""
    name = _incident(told)
    told.take_out(lambda line: line["event_type"] == "trading_state" and name in line["why"])


@lie
def an_anomaly_is_ordinary(told: Story) -> None:
    """A timeout's line does not say that it is an anomaly."""
    told.lines[told.first("timeout")].update(level="info", is_anomaly=False)


@lie
def a_timeout_goes(told: Story) -> None:
    """A timeout is taken out; a heartbeat still counts it."""
    place = told.first("timeout")
    run = told.lines[place]["run_id"]
    if not any(n > place for n in told.all("heartbeat", run_id=run)):
        raise NotHereError("no heartbeat of its run after it")
    del told.lines[place]


@lie
def a_timeout_goes_with_every_total(told: Story) -> None:
    """A cancel's timeout is taken out, and every heartbeat counts one anomaly less."""
    del told.lines[told.first("timeout", request="cancel")]
    make_good(told)


@outside
def a_timeout_goes_with_its_input(told: Story) -> None:
    """The same, and what the engine was told of it is taken out as well."""
    place = told.first("timeout", request="cancel")
    at_ns, cid = told.lines[place]["ts_ns"], told.lines[place]["client_order_id"]
    del told.lines[place]
    told.take_out(
        lambda line: (
            line["ts_ns"] == at_ns
            and line.get("input", {}).get("type") == "OutcomeUnknown"
            and line["input"]["client_order_id"] == cid
        )
    )
    make_good(told)
