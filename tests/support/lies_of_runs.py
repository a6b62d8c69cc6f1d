"""Lies about incidents, runs, states, links, commands and the books (see liar_story.py)."""

import copy
import json

from tests.support.liar_story import (
    TESTNET,
    NotHereError,
    Story,
    kept,
    lie,
    make_good,
    outside,
    renumber_incidents,
)

SECOND_NS = 10**9


# ---------------------------------------------------------------------- incidents
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


# ---------------------------------------------------------------------- runs
@lie
def the_first_run_goes(told: Story) -> None:
    """The record begins with its second run."""
    starts = told.all("run_start")
    if len(starts) < 2:
        raise NotHereError("one run")
    del told.lines[: starts[1]]
    make_good(told)


@lie
def the_first_run_goes_and_the_others_move_up(told: Story) -> None:
    """The same, and the runs are numbered anew; their orders carry the old number."""
    the_first_run_goes(told)
    for run in told.of_kind("run_start"):
        run["run_number"] -= 1


@lie
def a_run_in_the_middle_goes(told: Story) -> None:
    """A run between two others is taken out."""
    starts = told.all("run_start")
    if len(starts) < 3:
        raise NotHereError("two runs")
    del told.lines[starts[1] : starts[2]]
    make_good(told)


@kept
def a_crash_was_an_orderly_end(told: Story) -> None:
    """A run that was killed in its session gets a stop line."""
    for place in told.all("run_start")[1:]:
        before = [line["event_type"] for line in told.lines[:place]]
        starts, stops = before.count("session_start"), before.count("session_stop")
        if starts > stops:
            end = {**copy.deepcopy(told.lines[-1]), "run_id": told.lines[place - 1]["run_id"]}
            told.lines.insert(place, {**end, "ts_ns": told.lines[place - 1]["ts_ns"]})
            make_good(told)
            return
    raise NotHereError("no crash within a session")


@lie
def a_run_ended_well(told: Story) -> None:
    """A run's stop line is taken out, and with it the proof that it ended."""
    del told.lines[told.last("run_stop")]


@lie
def a_run_is_told_twice(told: Story) -> None:
    """Two runs have one number."""
    starts = told.all("run_start")
    if len(starts) < 2:
        raise NotHereError("one run")
    told.lines[starts[1]]["run_number"] = told.lines[starts[0]]["run_number"]


@lie
def a_boot_found_a_shorter_journal(told: Story) -> None:
    """A boot says that it found fewer lines than stand before it."""
    place = told.last("recovery")
    told.lines[place]["from_seq"] = max(told.lines[place]["from_seq"] - 3, 1)


@lie
def a_recovery_goes(told: Story) -> None:
    """What a boot had to recover is taken out."""
    del told.lines[told.last("recovery")]


@lie
def another_boxs_run(told: Story) -> None:
    """A good run of another box stands in the record."""
    told.lines[told.last("run_start")]["instance"] = "zzz999"


# ---------------------------------------------------------------------- sessions
@lie
def a_session_goes(told: Story) -> None:
    """A session is taken out from its start to its stop."""
    start = told.first("session_start")
    stop = next(n for n in told.all("session_stop") if n > start)
    del told.lines[start : stop + 1]
    make_good(told)


@lie
def sessions_are_numbered_anew(told: Story) -> None:
    """The same, and the sessions after it are numbered anew."""
    places = told.all("session_start")
    run = told.lines[places[0]]["run_id"]
    if sum(told.lines[place]["run_id"] == run for place in places) < 2:
        raise NotHereError("no second session in the run")
    a_session_goes(told)
    text = json.dumps(told.lines)
    for number in range(2, 9):
        text = text.replace(f'"{run}-s{number}"', f'"{run}-s{number - 1}"')
    told.lines[:] = json.loads(text)


@lie
def two_sessions_become_one(told: Story) -> None:
    """The stop of a session and the start of the next are taken out."""
    stop = told.first("session_stop")
    later = [n for n in told.all("session_start") if n > stop]
    if not later:
        raise NotHereError("one session")
    del told.lines[later[0]], told.lines[stop]
    make_good(told)


@lie
def a_session_comes_twice(told: Story) -> None:
    """A session is told again under another name, later."""
    start, stop = told.first("session_start"), told.first("session_stop")
    if stop < start:
        raise NotHereError("no whole session first")
    copied = copy.deepcopy(told.lines[start : stop + 1])
    shift = told.lines[-1]["ts_ns"] - copied[0]["ts_ns"]
    name = copied[0]["session_id"]
    for line in copied:
        line["ts_ns"] += shift
        line["session_id"] = name.rpartition("-s")[0] + "-s9"
    told.lines[-1:-1] = copied
    told.lines[-1]["ts_ns"] = copied[-1]["ts_ns"]


@lie
def a_stop_had_another_reason(told: Story) -> None:
    """A session that an incident or a kill ended was stopped by its operator."""
    place = told.first("session_stop", reason=lambda r: r.startswith(("incident", "kill")))
    told.lines[place]["reason"] = "stop: end"


@lie
def a_session_lasted_longer(told: Story) -> None:
    """A session states that it lasted an hour more."""
    line = told.lines[told.last("session_stop")]
    line["duration_ms"] = int(line["duration_ms"]) + 3_600_000


@lie
def a_session_began_earlier(told: Story) -> None:
    """The start of a session, with the lines before it, is an hour earlier."""
    place = told.last("session_start")
    for line in told.lines[: place + 1]:
        line["ts_ns"] -= 3600 * SECOND_NS


@lie
def heartbeats_go(told: Story) -> None:
    """The heartbeats of a bad second are taken out."""
    places = told.all("heartbeat", session_id=lambda name: name != "")
    session = told.lines[places[0]]["session_id"]
    gone = {id(told.lines[n]) for n in places if told.lines[n]["session_id"] == session}
    if len(gone) < 6:
        raise NotHereError("a short session")
    told.take_out(lambda line: id(line) in gone)


@lie
def heartbeats_are_made(told: Story) -> None:
    """More heartbeats than time has room for."""
    start = told.last("session_start")
    place = next((n for n in told.all("heartbeat") if n > start), None)
    if place is None:
        raise NotHereError("no heartbeat in the session")
    told.lines[place:place] = [copy.deepcopy(told.lines[place]) for _ in range(60)]


@lie
def the_night_ends_early(told: Story) -> None:
    """The last quarter is cut off."""
    del told.lines[-len(told.lines) // 4 :]


@lie
def the_code_was_another(told: Story) -> None:
    """One session names another code than the run that it is in."""
    told.lines[told.last("session_start")]["code"] = "beef" * 16


@lie
def the_commit_was_another_in_one_run(told: Story) -> None:
    """One run and its sessions name another commit; the code's digest is that of the others."""
    starts = told.all("run_start")
    if len(starts) < 2:
        raise NotHereError("one run")
    name = told.lines[starts[-1]]["run_id"]
    for line in told.lines:
        if line["run_id"] == name and "commit" in line:
            line["commit"] = "5afe5afe"


@lie
def the_account_was_another(told: Story) -> None:
    """One session was on another account than its run."""
    told.lines[told.last("session_start")]["account"] = "acc9"


@lie
def a_session_in_the_simulator(told: Story) -> None:
    """One session of the simulator's is put among the testnet's."""
    name = told.lines[told.last("session_start")]["session_id"]
    for line in told.lines:
        if line["session_id"] == name:
            line["mode"] = "sim"


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


# ---------------------------------------------------------------------- the books
@lie
def an_order_of_anothers(told: Story) -> None:
    """The venue's books have an order of this box that the record does not know."""
    row = copy.deepcopy(told.books["orders"][0])
    cid = row["client_order_id"]
    row.update(client_order_id=f"{cid[:12]}zzzzz{cid[17:]}", order_id=9_999_999)
    told.books["orders"].append(row)


@lie
def books_without_balances(told: Story) -> None:
    """The venue's books are shown without balances."""
    del told.books["balances"]


@lie
def books_without_fills(told: Story) -> None:
    """The venue's books are shown without trades."""
    del told.books["fills"]


@lie
def books_without_orders(told: Story) -> None:
    """The venue's books are shown without orders."""
    del told.books["orders"]


@lie
def books_of_a_simulator(told: Story) -> None:
    """The books are a simulator's under the testnet's name."""
    told.books["faults"] = {}


@lie
def a_balance_is_made_up(told: Story) -> None:
    """The balance at the beginning is what explains the end."""
    told.books["initial_balances"]["USDT"] = "900000"


@lie
def books_of_another_venue(told: Story) -> None:
    """The books name another venue than the record."""
    told.books["source"]["environment"] = "binance-spot"
    assert TESTNET != "binance-spot"


# ---------------------------------------------------------------------- bots
@lie
def a_request_goes(told: Story) -> None:
    """A bot's order was nobody's: the request is taken out."""
    place = told.first("order_approved", owner=bool)
    request = told.lines[place]["owner"]["request"]
    told.take_out(
        lambda line: line["event_type"] == "input" and line["input"].get("request") == request
    )


@lie
def a_bots_denial_goes_with_every_total(told: Story) -> None:
    """A refusal of a bot's wish is taken out, and every total is made good."""
    del told.lines[told.first("order_denied", owner=bool)]
    make_good(told)


@lie
def a_bot_was_not_refused(told: Story) -> None:
    """What was refused at a bot's door is taken out."""
    del told.lines[told.first("bot_refused", kind="place")]


@lie
def a_bots_answer_was_another(told: Story) -> None:
    """A bot was told another state of its order than the record has."""
    place = told.first("bot_answered", orders=bool)
    told.lines[place]["orders"][0]["client_order_id"] = "stabc123o0010000000x"


@lie
def an_order_changes_its_bot(told: Story) -> None:
    """An order that lost money is given to the other bot."""
    line = told.lines[told.first("order_approved", owner=bool)]
    bot = "cx" if line["owner"]["bot"] == "ft" else "ft"
    line["owner"]["bot"] = bot
    line["strategy_id"] = line["decision"]["strategy_id"] = f"bot:{bot}"


@lie
def a_request_asked_for_less(told: Story) -> None:
    """A bot's request is made to ask for another side than left."""
    place = told.first("order_approved", owner=bool, terms=None)
    request = told.lines[place]["owner"]["request"]
    where = told.first("input", input=lambda one: one.get("request") == request)
    asked = told.lines[where]["input"]
    asked = asked.get("place") or asked.get("orders", [asked])[0]
    asked["side"] = "BUY" if asked["side"] == "SELL" else "SELL"


@lie
def a_leg_was_never_asked_for(told: Story) -> None:
    """Of a list's orders one stands no more in the bot's request; both legs left."""
    names = {
        line["owner"]["request"] for line in told.of_kind("order_approved") if line.get("owner")
    }
    place = told.first(
        "input", input=lambda one: one["type"] == "BotPlaceList" and one["request"] in names
    )
    told.lines[place]["input"]["orders"].pop()


@lie
def a_bot_is_not_the_sessions(told: Story) -> None:
    """A session's start does not name the bot whose orders are in it."""
    told.first("order_approved", owner=bool)
    for start in told.of_kind("session_start"):
        start["bots"] = []
