"""Lies about real daemons' records, invented by somebody who had not read the suite.

Rules of this file:
1. Each says who gives it away at the latest: the record itself (the inputs that stand beside the
   lines among it), the venue's books, or only an anchor off the box (the venue's list of ids, a
   witness, heads that somebody else keeps).
2. Like the suite's other liars, whoever tells one makes every number, hash and total good.
"""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from evidence.report.report import Report
from tests.support.liar_story import Lie, Line, Story
from tests.support.recorded import recorded, report_of, settle

RECORD, BOOKS, OUTSIDE = "the record", "the venue's books", "an outside anchor"
GIVERS = (RECORD, BOOKS, OUTSIDE)


@dataclass(frozen=True, slots=True)
class DemoLie:
    """A lie of this suite."""

    name: str
    """Of the record that it is told in."""
    lie: Lie
    by: str
    """Who gives it away, at the latest."""


DEMO_LIES: dict[str, DemoLie] = {}


def about(name: str, by: str = RECORD) -> Callable[[Lie], Lie]:
    """Take a lie about a record into the suite."""

    def take(lie: Lie) -> Lie:
        DEMO_LIES[lie.__name__] = DemoLie(name, lie, by)
        return lie

    return take


@lru_cache
def _reasons_before(name: str, with_books: bool) -> frozenset[str]:
    return frozenset(report_of(recorded(name), with_books=with_books).reasons)


def told(one: DemoLie) -> Story:
    """The record with the lie in it."""
    made = recorded(one.name)
    one.lie(made)
    settle(made)
    return made


def given_away(one: DemoLie) -> tuple[str, Report, str]:
    """Who gives it away first, that report, and its reason; nobody: empty."""
    made = told(one)
    for giver in GIVERS:
        honest = recorded(one.name) if giver == OUTSIDE else None
        report = report_of(made, with_books=giver != RECORD, honest=honest)
        before = _reasons_before(one.name, giver != RECORD)
        reason = next((reason for reason in report.reasons if reason not in before), "")
        if reason:
            return giver, report, reason
    return "", report, ""


# ---------------------------------------------------------------------- helpers
def _input(line: Line) -> dict[str, Any]:
    found: dict[str, Any] = line.get("input", {})
    return found


def _everywhere(made: Story, old: str, new: str, since: int = 0) -> None:
    text = json.dumps(made.lines[since:], separators=(",", ":")).replace(old, new)
    made.lines[since:] = json.loads(text)


def _command(made: Story, place: int, method: str, **fields: Any) -> None:
    """Two made-up lines: a command that was accepted, and its input."""
    like, name = made.lines[place], f"c-{method}-made-up"
    asked = copy.deepcopy(made.lines[made.first("command", method="start", outcome="accepted")])
    own = {key: like[key] for key in ("ts_ns", "run_id", "session_id")}
    asked |= {**own, "command_id": name, "method": method, **fields}
    heard = copy.deepcopy(made.lines[made.first("input", input=lambda one: "method" in one)])
    heard |= own
    heard["input"] |= {"command_id": name, "method": method, "reason": asked["reason"]}
    made.lines[place + 1 : place + 1] = [asked, heard]


def _like(line: Line, event_type: str, **fields: Any) -> Line:
    envelope = ("ts_ns", "schema", "run_id", "session_id", "mode", "exchange")
    own = {key: line[key] for key in envelope}
    quiet = {"level": "info", "is_error": False, "is_anomaly": False}
    return {**own, **quiet, "event_type": event_type, **fields}


# ---------------------------------------------------------------------- money
@about("demo")
def the_last_balance_was_more(made: Story) -> None:
    """The last balance that the venue told is ten thousand more, in the line and in its input."""
    place = made.last("reconciled", balances=lambda one: "USDT" in one)
    _add(made.lines[place]["balances"]["USDT"], 10_000)
    _told_more(made.lines[place - 1], 10_000)
    for line in made.lines[max(place - 4, 0) : place]:
        if line is not made.lines[place - 1]:
            _told_more(line, 10_000)


@about("demo")
def every_balance_was_more(made: Story) -> None:
    """All balances that the venue told after the first are five thousand more."""
    first = made.first("reconciled")
    for line in made.lines[first + 1 :]:
        if line["event_type"] == "reconciled" and "USDT" in line["balances"]:
            _add(line["balances"]["USDT"], 5_000)
        _told_more(line, 5_000)


@about("demo", BOOKS)
def there_was_more_from_the_beginning(made: Story) -> None:
    """Every balance that the venue told is five thousand more: the basis of the counting, too."""
    for line in made.lines:
        if line["event_type"] == "reconciled" and "USDT" in line["balances"]:
            _add(line["balances"]["USDT"], 5_000)
        _told_more(line, 5_000)


def _add(pair: list[str], more: int) -> None:
    pair[0] = str(Decimal(pair[0]) + more)


def _told_more(line: Line, more: int) -> None:
    for row in _input(line).get("snapshot", {}).get("balances", ()):
        if row["asset"] == "USDT":
            row["free"] = str(Decimal(row["free"]) + more)


EQUITY_FIGURES = ("drawdown", "realised", "unrealised", "fees", "equity", "peak")


@about("demo")
def nothing_was_lost(made: Story) -> None:
    """Equity, losses and drawdown are zero in every decision and every equity line."""
    for line in made.lines:
        if line["event_type"] == "equity":
            line.update(dict.fromkeys(EQUITY_FIGURES, "0"))
        standing = line.get("decision", {}).get("standing")
        if standing:
            standing["equity"] = "0"
            for row in standing["losses"]:
                row[0] = "0"


@about("demo")
def the_peak_was_lower(made: Story) -> None:
    """The losses that decisions state are smaller; their equity is as it was."""
    for line in made.lines:
        for row in line.get("decision", {}).get("standing", {}).get("losses", ()):
            row[0] = str(Decimal(row[0]) / 2)


# ---------------------------------------------------------------------- links, alerts, trades
@about("storm")
def the_link_was_never_lost_though_told(made: Story) -> None:
    """The lines of a lost link go, with the gate's; what the engine was told stays."""
    kinds = {"disconnected", "reconnect"}
    made.take_out(lambda line: line["event_type"] in kinds)


@about("storm")
def no_cap_came_near(made: Story) -> None:
    """Every alert of a cap is taken out."""
    made.take_out(lambda line: line["event_type"] == "cap_alert")


@about("storm")
def an_alert_was_milder(made: Story) -> None:
    """An alert states a larger limit than the caps have."""
    place = made.first("cap_alert", cap="orders_open_max", rising=True)
    made.lines[place] |= {"limit": "100", "msg": ""}


@about("storm")
def no_trade_was_late(made: Story) -> None:
    """That trades were only found by a comparison is taken out of their lines."""
    for line in made.of_kind("fill"):
        line |= {"recovered": False, "late": False}


@about("demo")
def the_clock_was_never_sampled(made: Story) -> None:
    """The sample of the clock that decisions state is taken out, line and input."""
    made.take_out(
        lambda line: line["event_type"] == "clock" or _input(line).get("type") == "ClockSampled"
    )


@about("demo", OUTSIDE)
def the_clock_was_right(made: Story) -> None:
    """The clock was off by a microsecond, in line, input and every decision."""
    offset = made.lines[made.first("clock")]["offset_ns"]
    _everywhere(made, f'"offset_ns":{offset}', '"offset_ns":-1066')
    _everywhere(made, f'"clock":[{offset},', '"clock":[-1066,')


@about("demo", OUTSIDE)
def the_slowest_answer_was_quick(made: Story) -> None:
    """The slowest acknowledgement came three milliseconds after its order."""
    sent = {line["client_order_id"]: line["ts_ns"] for line in made.of_kind("order_approved")}
    acks = made.all("order_state", new="ACCEPTED")
    slow = max(acks, key=lambda n: made.lines[n]["ts_ns"] - sent[made.lines[n]["client_order_id"]])
    quick_ns = sent[made.lines[slow]["client_order_id"]] + 3_000_000
    for line in reversed(made.lines[: slow + 1]):
        if line["ts_ns"] <= quick_ns or line["event_type"] != "order_state":
            break
        line["ts_ns"] = quick_ns
    earlier = [line["ts_ns"] for line in made.lines[:slow] if line["ts_ns"] > quick_ns]
    made.lines[slow]["ts_ns"] = max([quick_ns, *earlier])


@about("demo", OUTSIDE)
def the_order_was_anothers(made: Story) -> None:
    """An order of one strategy is called another's, in its line and its decision."""
    line = made.lines[made.first("order_approved", strategy_id="heartbeat")]
    line["strategy_id"] = line["decision"]["strategy_id"] = "quoter-btcusdt"
    line["reason"] = "quote"


@about("demo")
def the_order_was_anothers_by_its_line(made: Story) -> None:
    """The same in its line alone."""
    made.lines[made.first("order_approved", strategy_id="heartbeat")]["strategy_id"] = "quoter"


# ---------------------------------------------------------------------- kills
@about("demo")
def the_kill_found_nothing(made: Story) -> None:
    """A kill that canceled orders states that it found none, in one round."""
    line = made.lines[made.last("kill", step="verified_empty")]
    line |= {"rounds": 1, "late_orders": 0, "canceled": 0}


@about("demo", BOOKS)
def the_kill_found_one(made: Story) -> None:
    """The same with figures that agree with each other, and no refused cancel beside them."""
    line = made.lines[made.last("kill", step="verified_empty")]
    line["canceled"] = 1
    made.take_out(
        lambda one: (
            one["event_type"] == "cancel_reject" or _input(one).get("type") == "VenueCancelReject"
        )
    )


@about("demo")
def the_kill_was_quicker(made: Story) -> None:
    """The last step of a kill states other figures than the steps before it."""
    made.lines[made.last("kill", step="verified_empty")] |= {
        "gate_ms": "0.009", "latched_ms": "0.400",
    }  # fmt: skip


@about("demo", OUTSIDE)
def the_kill_was_quicker_by_all_lines(made: Story) -> None:
    """Every step of a kill states a third of the time, within what two clocks can tell."""
    for line in made.of_kind("kill"):
        for name in ("gate_ms", "latched_ms", "cancel_ms", "empty_ms", "settled_ms"):
            if line.get(name):
                line[name] = f"{Decimal(line[name]) / 3:.3f}"


@about("demo", BOOKS)
def no_cancel_came_too_late(made: Story) -> None:
    """Cancels that the venue refused are taken out, and what the engine was told of them."""
    made.take_out(
        lambda line: (
            line["event_type"] == "cancel_reject" or _input(line).get("type") == "VenueCancelReject"
        )
    )


@about("demo")
def no_cancel_came_too_late_by_the_lines(made: Story) -> None:
    """The lines alone are taken out."""
    made.take_out(lambda line: line["event_type"] == "cancel_reject")


@about("demo", BOOKS)
def a_refused_cancel_is_made_up(made: Story) -> None:
    """A cancel that the venue took was refused, by its line and its input."""
    place = made.first("cancel_reject")
    made.lines[place + 1 : place + 1] = copy.deepcopy(made.lines[place - 1 : place + 1])


@about("demo")
def the_kill_was_a_stop(made: Story) -> None:
    """A kill is told as an operator's stop: its lines, its input, the latch, every reason."""
    place = made.last("command", method="kill")
    asked = made.lines[place]
    asked |= {"method": "stop", "reason": "planned end"}
    actor = {"uid": asked["uid"], "pid": 1, "role": "operator", "name": asked["by"]}
    for line in made.lines[place:]:
        if _input(line).get("type") == "KillLatched":
            line["input"] = {"type": "Command", "command_id": asked["command_id"], "method": "stop",
                             "actor": actor, "params": {}, "reason": "planned end"}  # fmt: skip
        if line["event_type"] == "trading_state":
            line |= {"why": "stop: planned end", "latched": False}
        elif line["event_type"] == "cancel_requested":
            line["why"] = "stop"
        elif line["event_type"] in {"reconciled", "session_stop"}:
            line["reason"] = "stop" if line["event_type"] == "reconciled" else "stop: planned end"
    made.take_out(lambda line: line["event_type"] == "kill")


@about("box")
def somebody_else_killed(made: Story) -> None:
    """Who killed and why is rewritten in every line and input from there on."""
    place = made.last("command", method="kill")
    for old, new in (("oh no", "planned drill"), ('"by":"root"', '"by":"alice"'),
                     ('"name":"root"', '"name":"alice"')):  # fmt: skip
        _everywhere(made, old, new, place)


@about("box")
def somebody_else_killed_by_the_lines(made: Story) -> None:
    """The reason of a kill is rewritten in its own lines."""
    for line in made.of_kind("kill"):
        line["reason"] = "planned drill"


@about("demo", OUTSIDE)
def somebody_else_began(made: Story) -> None:
    """Who started and killed is another in every line, from the beginning."""
    _everywhere(made, '"by":"root"', '"by":"alice"')
    _everywhere(made, '"name":"root"', '"name":"alice"')


# ---------------------------------------------------------------------- others, incidents
@about("box")
def nobody_else_was_there(made: Story) -> None:
    """A kill left an order of others open; it says none, and the comparisons after it are clean."""
    place = made.last("kill")
    made.lines[place]["others_open"] = 0
    for line in made.lines[place:]:
        if line["event_type"] == "reconciled":
            line |= {"clean": True, "differences": []}


@about("box")
def nobody_else_was_there_by_the_kill(made: Story) -> None:
    """Its line alone says that none was open."""
    made.lines[made.last("kill", step="verified_empty")]["others_open"] = 0


@about("box")
def it_was_the_clock(made: Story) -> None:
    """The trigger of incidents is another: the clock, for a moment."""
    _everywhere(made, "foreign_order", "clock_skew", made.first("incident_opened"))


@about("box")
def the_incidents_were_a_stop(made: Story) -> None:
    """Incidents and their resolutions go, comparisons are clean, the session was stopped."""
    for line in made.lines[made.first("incident_opened") :]:
        kind = line["event_type"]
        if kind == "trading_state" and line["why"].startswith("incident"):
            line |= {"why": "stop: end of test", "by": "root"}
        elif kind == "session_stop":
            line |= {"reason": "stop: end of test", "by": "root"}
        elif kind == "reconciled":
            line |= {"clean": True, "differences": [], "reason": "audit"}
        elif kind == "checkpoint":
            line["state"]["incidents"] = []
        elif kind == "kill" and "others_open" in line:
            line["others_open"] = 0
    made.take_out(
        lambda line: (
            line["event_type"] in {"incident_opened", "incident_resolved"}
            or "incident-resolve" in {line.get("method"), _input(line).get("method")}
        )
    )


@about("box", OUTSIDE)
def the_cause_was_harmless(made: Story) -> None:
    """The root cause of an incident is rewritten, where it was asked for and where it stands."""
    made.lines[made.first("incident_resolved")]["root_cause"] = "a known test order of ours"
    for line in made.lines:
        if _input(line).get("method") == "incident-resolve":
            params = line["input"]["params"]
            params["root_cause"] = "a known test order of ours"


@about("box", OUTSIDE)
def a_start_was_never_refused(made: Story) -> None:
    """A start that was refused goes, with its input."""
    place = made.first("command", method="start", outcome="refused")
    name = made.lines[place]["command_id"]
    made.take_out(
        lambda line: (
            str(line.get("command_id", "")).startswith(name)
            or _input(line).get("command_id") == name
        )
    )


# ---------------------------------------------------------------------- drills, caps, ends
@about("box", OUTSIDE)
def a_drill_never_was(made: Story) -> None:
    """A drill goes, with the command that asked for it."""
    place = made.first("drill", drill="kill-switch")
    del made.lines[place - 1 : place + 1]


@about("box", OUTSIDE)
def a_drill_was_quicker(made: Story) -> None:
    """A drill states better figures, and a shorter time."""
    line = made.lines[made.first("drill", drill="kill-switch")]
    line["detail"] |= {"gate_us": 1, "latched_ms": 0, "empty_ms": 1}
    line["duration_ms"] = 2


@about("box")
def a_drill_was_over_before_it_was_done(made: Story) -> None:
    """A drill states a shorter time than what it measured took."""
    line = made.lines[made.first("drill", drill="kill-switch")]
    line["detail"]["empty_ms"] = line["duration_ms"] + 5


@about("box")
def somebody_else_tightened(made: Story) -> None:
    """Who tightened the caps is another, with another user id, where the line says it."""
    line = made.lines[made.first("command", method="caps-tighten")]
    line |= {"by": "alice", "uid": 1001, "reason": "weekly review"}


@about("box", OUTSIDE)
def somebody_else_tightened_everywhere(made: Story) -> None:
    """The same in every line and input."""
    place = made.first("command", method="caps-tighten")
    for line in made.lines[place : place + 4]:
        if line["event_type"] == "command":
            line |= {"by": "alice", "uid": 1001, "reason": "weekly review"}
        elif line["event_type"] == "caps_changed":
            line |= {"by": "alice", "reason": "weekly review"}
        elif _input(line).get("method") == "caps-tighten":
            line["input"]["actor"] |= {"name": "alice", "uid": 1001}
            line["input"]["reason"] = "weekly review"


@about("demo")
def a_session_was_begun_that_nobody_told(made: Story) -> None:
    """After the end a command is told that the engine never heard of."""
    place = made.last("session_stop")
    _command(made, place, "stop", reason="planned")
    made.lines.remove(made.lines[place + 2])
    made.lines[-1]["ts_ns"] += 10_000_000_000


@about("demo", OUTSIDE)
def a_drill_was_made_up(made: Story) -> None:
    """A drill that never was is told after the session, with its command and good details."""
    place = made.last("session_stop")
    _command(made, place, "drill", reason="")
    del made.lines[place + 2]
    detail = {
        "gate_us": 4, "latched_ms": 3, "latch_read_back": True, "empty_ms": 10,
        "venue_verified_empty": True, "venue_open_orders": 0, "rehearsed_order": "",
        "wish_after_gate_closed": "halt_flag_closed", "order_canceled": True,
        "trading_state": "HALTED", "latched": True, "start_while_latched": "latched",
        "orders_approved": 0, "orders_counted_by_venue": 0,
    }  # fmt: skip
    drill = _like(made.lines[place], "drill", drill="kill-switch", passed=True, detail=detail,
                  duration_ms=18)  # fmt: skip
    made.lines.insert(place + 2, drill)


@about("demo")
def the_run_failed_otherwise(made: Story) -> None:
    """A run that ended in order is told as one that an error ended."""
    made.lines[made.last("run_stop")] |= {"exit_code": 70, "reason": "fatal: journal disk full"}


@about("box", OUTSIDE)
def the_end_never_was(made: Story) -> None:
    """What came after the first session is cut off, and a run's end written by hand."""
    place = made.first("session_stop")
    end = _like(made.lines[place], "run_stop", reason="end", exit_code=0)
    made.lines[place + 1 :] = [{**end, "session_id": ""}]


# ---------------------------------------------------------------------- bots
@about("bot", OUTSIDE)
def it_was_another_bot(made: Story) -> None:
    """The bot has another name, everywhere."""
    bot = made.lines[made.first("bot_answered")]["bot"]
    _everywhere(made, f'"{bot}"', '"backup-bot"')
    _everywhere(made, f'"bot:{bot}"', '"bot:backup-bot"')


@about("bot")
def the_bot_waited_less(made: Story) -> None:
    """How long a bot waited for its answers is a tenth."""
    for line in made.of_kind("bot_answered"):
        line["wait_ns"] //= 10


@about("bot", OUTSIDE)
def the_bot_wished_for_less(made: Story) -> None:
    """The wish of a bot that was denied was for half as much, in request, line and decision."""
    line = made.lines[made.last("order_denied")]
    half = f"{Decimal(line['qty']) / 2}"
    request = line["owner"]["request"]
    for one in made.lines:
        if _input(one).get("request") == request and "qty" in _input(one):
            one["input"]["qty"] = half
    line["qty"] = half
    line["decision"] |= {"qty": half, "qty_approved": half}
    line["deny_context"]["used"] = half
