"""Lies about wishes, decisions, orders, fills and caps (see liar_story.py)."""

import copy
import hashlib
import json
from decimal import Decimal
from itertools import pairwise

from tests.support.liar_story import NotHereError, Story, lie, make_good, outside

ENDS = ("CANCELED", "EXPIRED", "FILLED")


def _another(told: Story, place: int, event_type: str) -> int:
    """The next line of a kind after a place."""
    later = [number for number in told.all(event_type) if number > place]
    if not later:
        raise NotHereError(f"{told.name} has no second {event_type}")
    return later[0]


# ---------------------------------------------------------------------- denials
@lie
def a_denial_goes(told: Story) -> None:
    """A wish that the caps refused is taken out."""
    del told.lines[told.first("order_denied", owner=None)]


@lie
def denials_go_and_the_stop_line_counts_none(told: Story) -> None:
    """All refusals are taken out, and the stop lines count none."""
    told.take_out(lambda line: line["event_type"] == "order_denied")
    for stop in told.of_kind("session_stop"):
        stop["denied"] = {}


@lie
def denials_go_and_heartbeats_agree(told: Story) -> None:
    """A refusal is taken out of heartbeats and stop lines, too; later decisions still count it."""
    place = told.first("order_denied", owner=None)
    session = told.lines[place]["session_id"]
    told.first("order_approved", session_id=session, counts=lambda counts: counts[1] > 0)
    kept = [(line, line.get("counts")) for line in told.lines if "decision" in line]
    del told.lines[place]
    make_good(told)
    for line, counts in kept:
        line["counts"] = counts


@outside
def denials_go_with_every_total(told: Story) -> None:
    """All refusals of no bot's wishes are taken out, and every running total is made good."""
    gone = told.take_out(lambda x: x["event_type"] == "order_denied" and not x.get("owner"))
    if not gone:
        raise NotHereError("no denial")
    make_good(told)


@lie
def a_denial_is_called_milder(told: Story) -> None:
    """A refusal by a loss or exposure cap is called a duplicate."""
    line = told.lines[told.first("order_denied", owner=None)]
    line["deny_reason"] = "duplicate_order"
    make_good(told)


@lie
def a_denial_is_called_milder_twice(told: Story) -> None:
    """The same, and its decision says so, too."""
    place = told.first("order_denied", owner=None, decision=lambda d: "qty" in d)
    line = told.lines[place]
    line["deny_reason"] = line["decision"]["verdict"] = "venue_budget"
    make_good(told)


@lie
def a_denial_is_invented(told: Story) -> None:
    """A refusal is told twice, to show a cap at work; the totals count it."""
    place = told.first("order_denied", owner=None)
    told.lines.insert(place, copy.deepcopy(told.lines[place]))
    for stop in list(told.of_kind("session_stop"))[:1]:
        stop["denied"] = {**stop["denied"], told.lines[place]["deny_reason"]: 99}


@lie
def a_denial_becomes_an_approval(told: Story) -> None:
    """A wish that was refused was approved, and canceled at once."""
    place = told.first("order_denied", owner=None, decision=lambda d: "qty_approved" in d)
    line, model = told.lines[place], told.lines[told.first("order_approved")]
    made = {**copy.deepcopy(model), "decision": {**line["decision"], "verdict": "approved"}}
    made |= {k: line[k] for k in ("ts_ns", "side", "qty", "price", "session_id", "run_id")}
    made["client_order_id"] = model["client_order_id"][:-1] + "z"
    end = {**copy.deepcopy(told.lines[told.first("order_state")]), "new": "CANCELED"}
    end |= {"ts_ns": line["ts_ns"], "client_order_id": made["client_order_id"]}
    told.lines[place : place + 1] = [made, end]
    make_good(told)


@lie
def an_approval_becomes_a_denial(told: Story) -> None:
    """An order that lost money was a wish that was refused."""
    place = told.first("order_approved", owner=None)
    line, model = told.lines[place], told.lines[told.first("order_denied", owner=None)]
    cid = line["client_order_id"]
    told.lines[place] = {**copy.deepcopy(model), "ts_ns": line["ts_ns"]}
    told.take_out(lambda one: one.get("client_order_id") == cid)
    make_good(told)


@lie
def a_denial_moves_to_another_session(told: Story) -> None:
    """A refusal is told in the session after its own."""
    place = told.first("order_denied", owner=None)
    where = _another(told, place, "session_start")
    line = told.lines.pop(place)
    told.lines.insert(where + 2, {**line, "ts_ns": told.lines[where]["ts_ns"],
                                  "session_id": told.lines[where - 1]["session_id"]})  # fmt: skip
    make_good(told)


# ---------------------------------------------------------------------- decisions
def _decision(told: Story, **wanted: object) -> dict[str, object]:
    return told.lines[told.last("order_approved", **wanted)]["decision"]  # type: ignore[no-any-return]


@lie
def a_decision_states_another_position(told: Story) -> None:
    """The position that a decision went by is made smaller."""
    has_any = {"decision": lambda d: Decimal(d.get("position") or 0) != 0}
    _decision(told, **has_any)["position"] = "0"


@lie
def a_decision_states_fewer_attempts(told: Story) -> None:
    """The orders of the last hour that a decision counted are made fewer."""
    _decision(told, decision=lambda d: d["attempts"][2] > 0)["attempts"] = [0, 0, 0, 0]


@lie
def a_decision_states_fewer_executions(told: Story) -> None:
    """The executions that the order-to-trade cap goes by are made more."""
    found = _decision(told)
    found["executions"] = int(str(found["executions"])) + 5


@lie
def a_decision_forgets_open_orders(told: Story) -> None:
    """The quantity open on one side is left out of a decision."""
    found = _decision(told, decision=lambda d: Decimal(d["buys_open"]) + Decimal(d["sells_open"]))
    found["buys_open"] = found["sells_open"] = "0"


@lie
def a_decision_forgets_an_unknown_order(told: Story) -> None:
    """A refusal for an order in doubt is taken for another: no order is in doubt."""
    place = told.first("order_denied", deny_reason="unknown_order_open")
    told.lines[place]["decision"]["unknown_orders"] = 0


@lie
def a_decision_is_for_another_quantity(told: Story) -> None:
    """What was approved is another quantity than what left."""
    _decision(told)["qty_approved"] = "0.00001"


@lie
def a_decision_is_lost(told: Story) -> None:
    """The inputs of a decision are no longer stated."""
    told.lines[told.last("order_approved")]["decision"] = {}


@lie
def a_decision_is_dated_back(told: Story) -> None:
    """A decision was made a second before its order."""
    found = _decision(told)
    found["now_ns"] = int(str(found["now_ns"])) - 10**9


@lie
def a_decision_was_made_while_halted(told: Story) -> None:
    """An order left while the gate was halted; its decision is told to be of a trading state."""
    place = told.last("order_approved")
    session = told.lines[place]["session_id"]
    states = [n for n in told.all("trading_state") if n > place]
    moved = told.lines.pop(states[0])
    told.lines.insert(place, {**moved, "ts_ns": told.lines[place]["ts_ns"]})
    assert session


@lie
def a_decision_names_other_caps(told: Story) -> None:
    """A decision names the caps of another configuration."""
    found = _decision(told)
    found["caps_hash"] = "0" * 64


# ---------------------------------------------------------------------- caps and filters
def _digest(plain: object) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@lie
def a_cap_is_raised_in_the_session(told: Story) -> None:
    """A cap of the session's start is raised; its hash stays."""
    told.lines[told.first("session_start")]["caps"]["exposure_gross_numeraire_max"] = "9000000"


@lie
def a_cap_is_raised_with_its_hash(told: Story) -> None:
    """A cap is raised where the session starts, and its hash; the run states the old one."""
    start = told.lines[told.first("session_start")]
    start["caps"]["orders_per_day_max"] = 7_000_000
    start["caps_hash"] = _digest(start["caps"])


@lie
def a_tightening_goes(told: Story) -> None:
    """Caps that were tightened were not."""
    told.lines[:] = (
        [
            line
            for line in told.lines
            if not (line["event_type"] == "caps_changed" or line.get("method") == "caps-tighten")
        ]
        if told.first("caps_changed")
        else []
    )


@lie
def a_tightening_is_a_loosening(told: Story) -> None:
    """Caps were changed to more than they were, while the daemon ran."""
    line = told.lines[told.first("caps_changed")]
    line["changes"] = dict.fromkeys(line["changes"], 10**9)


@lie
def a_tightening_that_nobody_asked_for(told: Story) -> None:
    """The command that tightened the caps is taken out."""
    told.first("caps_changed")
    told.take_out(lambda one: one.get("method") == "caps-tighten" and one["outcome"] == "accepted")


@lie
def the_caps_of_a_session_go(told: Story) -> None:
    """A session starts without stating its caps."""
    told.lines[told.first("session_start")]["caps"] = None


@lie
def a_risk_context_is_altered(told: Story) -> None:
    """Caps and filters that decisions go by are altered where they are stated."""
    told.lines[told.first("risk_context")]["caps"]["order_qty_base_max"] = "500"


@lie
def a_risk_context_is_altered_with_its_digest(told: Story) -> None:
    """The same, and the digest is made good in every decision that names it."""
    line = told.lines[told.first("risk_context")]
    old = line["context"]
    line["caps"]["order_qty_base_max"] = "500"
    parts = ("instrument_id", "caps_hash", "portfolio_caps", "caps", "filters")
    line["context"] = _digest({part: line[part] for part in parts})
    for one in told.lines:
        if one.get("decision", {}).get("context") == old:
            one["decision"]["context"] = line["context"]


@lie
def a_risk_context_goes(told: Story) -> None:
    """The line with the caps and filters of the decisions after it is taken out."""
    del told.lines[told.first("risk_context")]


@lie
def the_venues_filters_are_altered(told: Story) -> None:
    """The venue's own filters are told to be others than the decisions went by."""
    told.lines[told.first("instruments")]["instruments"][0]["lot"] = "0.5"


# ---------------------------------------------------------------------- orders
@lie
def a_reject_goes(told: Story) -> None:
    """The venue's no is taken out."""
    del told.lines[told.first("order_reject")]
    make_good(told)


@lie
def an_order_goes_with_all_that_names_it(told: Story) -> None:
    """A whole order is taken out, and every total is made good."""
    cid = told.lines[told.first("order_approved")]["client_order_id"]
    told.take_out(lambda line: line.get("client_order_id") == cid)
    make_good(told)


@lie
def the_last_order_goes_with_all_that_names_it(told: Story) -> None:
    """The same with the last order, which leaves no hole in the ids."""
    cid = told.lines[told.last("order_approved", owner=None)]["client_order_id"]
    if cid not in {row["client_order_id"] for row in told.books["orders"]}:
        raise NotHereError("it never reached the venue")
    told.take_out(lambda line: line.get("client_order_id") == cid)
    make_good(told)


@outside
def a_last_order_that_never_arrived_goes(told: Story) -> None:
    """A run's last order, which never reached the venue, is taken out with all that names it."""
    cid = told.lines[told.last("order_approved")]["client_order_id"]
    owned = told.lines[told.last("order_approved")].get("owner")
    if owned or cid in {row["client_order_id"] for row in told.books["orders"]}:
        raise NotHereError("it reached the venue")
    told.take_out(lambda line: line.get("client_order_id") == cid)
    make_good(told)


@lie
def orders_are_numbered_anew(told: Story) -> None:
    """After an order was taken out, those behind it move up by one."""
    cids = [line["client_order_id"] for line in told.of_kind("order_approved")]
    if len(cids) < 3:
        raise NotHereError("too few orders")
    told.take_out(lambda line: line.get("client_order_id") == cids[0])
    text = json.dumps(told.lines)
    for before, after in pairwise(cids):
        text = text.replace(f'"{after}"', f'"{before}~"')
    told.lines[:] = json.loads(text.replace("~", ""))
    make_good(told)


@lie
def two_orders_change_names(told: Story) -> None:
    """Two orders change their ids: the loss was the other's."""
    cids = [line["client_order_id"] for line in told.of_kind("order_approved")]
    if len(cids) < 2:
        raise NotHereError("too few orders")
    one, other = cids[0], cids[-1]
    text = json.dumps(told.lines).replace(one, "~").replace(other, one).replace("~", other)
    told.lines[:] = json.loads(text)


@lie
def an_order_never_was(told: Story) -> None:
    """An order that never left is invented, with id, end and totals."""
    cids = [line["client_order_id"] for line in told.of_kind("order_approved")]
    last = told.last("order_approved", owner=None)
    if told.lines[last]["client_order_id"] != cids[-1]:
        raise NotHereError("the last order is a bot's")
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    name = cids[-1][:-1] + digits[(digits.index(cids[-1][-1]) + 1) % 36]
    made = {**copy.deepcopy(told.lines[last]), "client_order_id": name}
    state = copy.deepcopy(told.lines[told.first("order_state", new="CANCELED")])
    state |= {"client_order_id": name, "ts_ns": made["ts_ns"], "old": "SUBMITTED"}
    told.lines[last + 1 : last + 1] = [made, state]
    make_good(told)


@lie
def an_end_is_another(told: Story) -> None:
    """An order that was canceled was filled."""
    line = told.lines[told.first("order_state", new="CANCELED")]
    line["new"] = "FILLED"


@lie
def an_end_goes(told: Story) -> None:
    """The end of an order is taken out."""
    del told.lines[told.first("order_state", new=lambda new: new in ENDS)]


@lie
def doubt_about_an_order_goes(told: Story) -> None:
    """That an order was in doubt is taken out, and the timeout with it."""
    told.first("order_state", new="UNKNOWN")
    told.take_out(lambda line: line.get("new") == "UNKNOWN" or line["event_type"] == "timeout")
    make_good(told)


@lie
def an_absent_order_was_sent(told: Story) -> None:
    """An order that the venue never saw was adopted from it."""
    told.lines[told.first("order_resolved", outcome=lambda one: one != "adopted")][
        "outcome"] = "adopted"  # fmt: skip


@lie
def a_sent_order_was_absent(told: Story) -> None:
    """An order in doubt that the venue has was proven absent."""
    line = told.lines[told.first("fill")]
    proof = {
        **{k: line[k] for k in line if k not in {"qty", "price", "side", "fee", "exec_id"}},
        "event_type": "order_resolved", "outcome": "absent", "proof": {},
    }  # fmt: skip
    place = told.first("order_state", client_order_id=line["client_order_id"])
    told.lines[place] = {**proof, "ts_ns": told.lines[place]["ts_ns"]}


@lie
def an_amend_is_smaller(told: Story) -> None:
    """The venue made an order smaller than it did."""
    line = told.lines[told.first("order_amended")]
    line["qty"] = "0.00001"


@lie
def an_amend_goes(told: Story) -> None:
    """That the venue made an order smaller is taken out."""
    told.take_out(lambda line: line["event_type"] == "order_amended")


# ---------------------------------------------------------------------- fills
@lie
def a_fill_at_a_better_price(told: Story) -> None:
    """A fill has a better price than at the venue."""
    line = told.lines[told.first("fill")]
    factor = Decimal("0.99") if line["side"] == "BUY" else Decimal("1.01")
    line["price"] = str(Decimal(line["price"]) * factor)


@lie
def a_fill_is_smaller(told: Story) -> None:
    """A fill has a smaller quantity than at the venue."""
    line = told.lines[told.first("fill")]
    line["qty"] = str(Decimal(line["qty"]) / 2)


@lie
def a_fill_costs_nothing(told: Story) -> None:
    """A fill's fee is zero."""
    told.lines[told.first("fill", fee=lambda fee: Decimal(fee or 0) > 0)]["fee"] = "0"


@lie
def a_fill_goes(told: Story) -> None:
    """A fill is taken out, and every total is made good."""
    del told.lines[told.last("fill")]
    make_good(told)


@lie
def a_fill_comes_twice(told: Story) -> None:
    """A good fill is booked again under another trade number."""
    place = told.first("fill")
    symbol, trade, order = told.lines[place]["exec_id"].split(":")
    made = {**copy.deepcopy(told.lines[place]), "exec_id": f"{symbol}:{int(trade) + 900}:{order}"}
    told.lines.insert(place + 1, made)
    make_good(told)


@lie
def a_fill_was_on_the_other_side(told: Story) -> None:
    """A sale was a purchase."""
    line = told.lines[told.first("fill")]
    line["side"] = "BUY" if line["side"] == "SELL" else "SELL"


@lie
def a_fill_is_another_orders(told: Story) -> None:
    """A fill is given to another order."""
    place = told.first("fill")
    cid = told.lines[place]["client_order_id"]
    other = told.lines[told.first("order_approved", client_order_id=lambda one: one != cid)]
    told.lines[place]["client_order_id"] = other["client_order_id"]


@lie
def a_position_is_stated_smaller(told: Story) -> None:
    """The position that a fill's line states is made smaller."""
    told.lines[told.last("fill", position_qty=lambda one: one is not None)]["position_qty"] = "0"


@lie
def a_fill_is_moved_before_its_order(told: Story) -> None:
    """A fill stands before the order that it fills."""
    line = told.lines.pop(told.first("fill"))
    place = told.first("order_approved", client_order_id=line["client_order_id"])
    told.lines.insert(place, {**line, "ts_ns": told.lines[place]["ts_ns"]})
    make_good(told)
