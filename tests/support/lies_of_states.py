"""Lies about states, links, kills and commands (see liar_story.py)."""

from tests.support.liar_story import NotHereError, Story, lie, make_good, outside

SECOND_NS = 10**9


# ---------------------------------------------------------------------- states and links
@lie
def a_state_change_goes(told: Story) -> None:
    """A change of the trading state is taken out."""
    del told.lines[told.last("trading_state", new="HALTED", old=lambda old: old != "HALTED")]


@lie
def the_gate_was_ready(told: Story) -> None:
    """That the gate left READY is taken out."""
    del told.lines[told.first("gate_state", old="READY")]


@lie
def a_gate_that_flapped_did_not(told: Story) -> None:
    """The gate's way from READY and back is taken out, and a heartbeat within it says READY."""
    place = told.first("gate_state", old="READY")
    back = next((n for n in told.all("gate_state", new="READY") if n > place), None)
    run = told.lines[place]["run_id"]
    if back is None or told.lines[back]["run_id"] != run:
        raise NotHereError("it did not come back")
    inside = {id(line) for line in told.lines[place : back + 1]}
    if not any(
        line["event_type"] == "trading_state" and "gate" in line["why"]
        for line in told.lines
        if id(line) in inside
    ):
        raise NotHereError("nothing followed from it")
    told.take_out(
        lambda line: (
            id(line) in inside
            and (line["event_type"] == "gate_state" or "gate" in str(line.get("why")))
        )
    )


@lie
def an_outage_goes(told: Story) -> None:
    """The loss of a link and its return are taken out."""
    told.first("reconnect")
    told.take_out(lambda line: line["event_type"] in {"disconnected", "reconnect"})


@lie
def an_outage_was_short(told: Story) -> None:
    """A link was away for a millisecond."""
    told.lines[told.first("reconnect")]["outage_ms"] = 1


@lie
def a_link_was_never_lost(told: Story) -> None:
    """The loss of a link is taken out, and every total is made good; its return stays."""
    place = told.first("disconnected")
    run = told.lines[place]["run_id"]
    if not any(n > place for n in told.all("reconnect", run_id=run)):
        raise NotHereError("it did not return")
    del told.lines[place]
    make_good(told)


@lie
def a_heartbeat_saw_no_doubt(told: Story) -> None:
    """A heartbeat counts fewer open orders than there were."""
    told.lines[told.first("heartbeat", open_orders=lambda n: n > 0)]["open_orders"] = 0


@lie
def a_heartbeat_was_active(told: Story) -> None:
    """A heartbeat says ACTIVE where trading was halted."""
    told.lines[told.last("heartbeat", trading_state="HALTED")]["trading_state"] = "ACTIVE"


@lie
def a_heartbeat_was_ready(told: Story) -> None:
    """A heartbeat says READY where the gate was not, or the other way round."""
    line = told.lines[told.first("heartbeat")]
    line["gate_state"] = "DOWN" if line["gate_state"] == "READY" else "READY"


# ---------------------------------------------------------------------- kills and commands
@lie
def a_kill_goes(told: Story) -> None:
    """A kill is taken out with the command that asked for it; the re-arm stays."""
    told.first("re_arm")
    told.take_out(
        lambda line: (
            line["event_type"] == "kill"
            or line.get("method") == "kill"
            or line.get("latched") is True
        )
    )


@lie
def a_kill_is_verified(told: Story) -> None:
    """A kill that never saw the venue empty says so no more."""
    line = told.lines[told.first("kill", step="verified_empty")]
    line.update(open_orders=2)


@lie
def a_kill_was_never_verified(told: Story) -> None:
    """That the venue was seen empty is taken out."""
    told.take_out(lambda line: line.get("step") == "verified_empty")


@lie
def the_steps_of_a_kill_go(told: Story) -> None:
    """A kill was asked for, and its steps are taken out."""
    told.take_out(lambda line: line["event_type"] == "kill")


@lie
def a_re_arm_goes(told: Story) -> None:
    """The next session begins over a latch: the re-arm is taken out."""
    place = told.first("re_arm")
    if not any(n > place for n in told.all("session_start")):
        raise NotHereError("no session after it")
    del told.lines[place]


@lie
def a_re_arm_is_made(told: Story) -> None:
    """A latch is opened, and none was shut."""
    place = told.first("session_start")
    model = {key: told.lines[place][key] for key in ("ts_ns", "run_id", "mode", "exchange")}
    told.lines.insert(place, {**told.lines[place - 1], **model, "event_type": "re_arm",
                              "session_id": "", "by": "op", "reason": "fine"})  # fmt: skip


@lie
def a_session_that_nobody_started(told: Story) -> None:
    """The command that started a session is taken out."""
    told.take_out(lambda line: line.get("method") == "start" and line["outcome"] == "accepted")


@lie
def a_session_that_another_started(told: Story) -> None:
    """A session was started by another than asked for it."""
    told.lines[told.first("session_start")]["by"] = "somebody-else"


@lie
def a_refusal_is_no_refusal(told: Story) -> None:
    """A start that was refused was accepted: the refusal is taken out."""
    told.take_out(lambda line: line.get("outcome") == "refused" and line["method"] == "start")


@lie
def a_start_was_refused_for_nothing(told: Story) -> None:
    """A start was refused for an open incident, and there is none."""
    place = told.first("command", outcome="refused", method="start")
    told.lines[place]["msg"] = "incident_open: 1 incident(s) unresolved"


@lie
def a_refusal_goes_with_its_question(told: Story) -> None:
    """That a start was asked for and refused is taken out, both lines."""
    place = told.first("command", outcome="refused", method="start")
    name = told.lines[place]["command_id"]
    told.take_out(lambda line: line.get("command_id") == name)
    make_good(told)


@outside
def a_refusal_goes_with_its_question_and_its_input(told: Story) -> None:
    """The same, and that the engine was told of it is taken out as well."""
    place = told.first("command", outcome="refused", method="start")
    name = told.lines[place]["command_id"]
    told.take_out(
        lambda line: name in {line.get("command_id"), line.get("input", {}).get("command_id")}
    )
    make_good(told)


@lie
def a_session_without_a_comparison(told: Story) -> None:
    """That the books were compared before a session is taken out."""
    start = told.first("session_start")
    told.lines[:] = [
        line
        for number, line in enumerate(told.lines)
        if not (line["event_type"] == "reconciled" and number < start)
    ]


@lie
def the_clock_goes_back(told: Story) -> None:
    """A line is older than the one before it."""
    told.lines[len(told.lines) // 2]["ts_ns"] -= SECOND_NS
