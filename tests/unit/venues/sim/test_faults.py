"""The fault layer: what is decided, that it repeats from its seed, that it is booked and undone."""

import random
from typing import Any

import orjson
import pytest

from daemon.model.enums import SymbolStatus
from daemon.venues.sim.dialect import sim_ws
from daemon.venues.sim.event_delay import UserEventDelay
from daemon.venues.sim.fault_actions import FaultRunner
from daemon.venues.sim.fault_presets import PRESETS, menu
from daemon.venues.sim.fault_rules import (
    EXPLANATIONS,
    FaultKind,
    FaultPlan,
    FaultRule,
    FaultScriptError,
    rules_of,
)
from tests.support.sim_stage import MS, SYMBOL, T0_NS, Stage

ORDER = {
    "symbol": SYMBOL,
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.1",
    "price": "50000",
    "newClientOrderId": "own",
}
S = 1_000_000_000


def stage_with(*rules: FaultRule) -> Stage:
    stage = Stage()
    stage.faults.load(rules, stage.now_ns)
    return stage


def always(kind: FaultKind, **params: Any) -> FaultRule:
    return FaultRule(kind=kind, rate=1.0, params=params)


def executed(stage: Stage) -> bool:
    return bool(stage.venue.open_orders("main"))


@pytest.mark.parametrize(
    ("kind", "status", "code", "happened"),
    [
        (FaultKind.ERROR_5XX_AFTER, 503, -1006, True),
        (FaultKind.ERROR_5XX_BEFORE, 503, -1006, False),
        (FaultKind.UNKNOWN_1007_AFTER, 504, -1007, True),
        (FaultKind.UNKNOWN_1007_BEFORE, 504, -1007, False),
        (FaultKind.OVERLOAD_1008, 503, -1008, False),
    ],
)
def test_answers_that_say_nothing(kind: FaultKind, status: int, code: int, happened: bool) -> None:
    stage = stage_with(always(kind))
    answer, row, _ = stage.rest("POST", "order", **ORDER)
    assert (answer, row["code"]) == (status, code)
    assert executed(stage) is happened
    assert stage.exchange.ledger.faults == {str(kind): 1}
    assert "own" in str(stage.ledger()["fault_log"][0]["detail"])


@pytest.mark.parametrize(
    ("kind", "happened"), [(FaultKind.DROP_ANSWER, True), (FaultKind.DROP_REQUEST, False)]
)
def test_answers_that_never_come(kind: FaultKind, happened: bool) -> None:
    stage = stage_with(always(kind))
    assert stage.rest("POST", "order", **ORDER)[2].abort
    assert executed(stage) is happened
    query, row, _ = stage.rest("GET", "order", symbol=SYMBOL, origClientOrderId="own")
    assert (query, row.get("code")) == ((200, None) if happened else (400, -2013))


def test_the_firewall_stands_before_rest_only() -> None:
    stage = stage_with(always(FaultKind.WAF_403))
    status, body, answer = stage.rest("POST", "order", **ORDER)
    assert (status, answer.content_type) == (403, "text/html")
    assert body.startswith(b"<html>")
    assert stage.ws("order.place", **ORDER)["status"] == 200


def test_a_held_request_is_judged_when_it_is_let_through() -> None:
    stage = stage_with(always(FaultKind.DELAY_REQUEST, ms_min=6000, ms_max=6000))
    params = stage.stamped({**ORDER, "apiKey": "k"})
    frame = orjson.dumps({"id": 1, "method": "order.place", "params": params})
    stage.exchange.keys["k"] = stage.exchange.keys["k"]
    reply = sim_ws.handle(stage.exchange, stage.session, frame, stage.tick())
    assert reply.frame is not None  # unsigned: refused at the door, never held
    held = stage.rest("POST", "order", **ORDER)[2]
    assert held.hold_ms == 6000
    assert not executed(stage)


def test_times_and_purposes_bound_a_rule() -> None:
    rule = FaultRule(
        kind=FaultKind.DROP_REQUEST, rate=1.0, from_ms=100, until_ms=200, purposes=("cancel",)
    )
    plan = FaultPlan(random.Random)
    plan.load([rule], T0_NS)
    struck = [
        plan.on_request(purpose, T0_NS + ms * MS, is_rest=True).kind is not None
        for purpose, ms in [("cancel", 99), ("cancel", 100), ("cancel", 199), ("cancel", 200)]
    ]
    assert struck == [False, True, True, False]
    assert plan.on_request("place", T0_NS + 150 * MS, is_rest=True).kind is None


def test_the_same_seed_gives_the_same_faults() -> None:
    def run(seed: int) -> list[str]:
        plan = FaultPlan(lambda name: random.Random(f"{seed}/{name}"))
        plan.load(PRESETS["unknown"][1], T0_NS)
        return [str(plan.on_request("place", T0_NS, is_rest=True).kind) for _ in range(300)]

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert {"drop_answer", "unknown_1007_after"} <= set(run(1))


def posted(stage: Stage, post: UserEventDelay) -> list[str]:
    return [str(getattr(event, "exec_type", "position")) for event in post.take(stage.now_ns)]


def test_duplicates_and_late_fills() -> None:
    stage = stage_with(
        always(FaultKind.LATE_FILL, ms=500), FaultRule(kind=FaultKind.DUPLICATE_EVENT, rate=0.0)
    )
    post = UserEventDelay(stage.exchange)
    order = stage.buy("2", "60000").order
    stage.sell("1", "60000", account="other")
    stage.venue.cancel("main", SYMBOL, order_id=order.order_id, now_ns=stage.tick())
    stage.exchange.collect()
    ours = [e for e in stage.exchange.user_outbox if e.account == "main"]
    stage.exchange.user_outbox = ours
    assert posted(stage, post) == ["NEW", "position", "position", "CANCELED", "position"]
    stage.tick(499)
    assert posted(stage, post) == []
    stage.tick(2)
    assert posted(stage, post) == ["TRADE"]


def test_every_copy_of_a_duplicate_arrives() -> None:
    stage = stage_with(always(FaultKind.DUPLICATE_EVENT))
    post = UserEventDelay(stage.exchange)
    stage.buy("2", "50000")
    stage.exchange.collect()
    first = posted(stage, post)
    stage.tick(50)
    assert sorted(first + posted(stage, post)) == ["NEW", "NEW", "position", "position"]


def test_a_delay_keeps_the_order_of_what_follows() -> None:
    stage = stage_with(always(FaultKind.DELAY_EVENT, ms_min=1, ms_max=400))
    post = UserEventDelay(stage.exchange)
    orders = [stage.buy("0.1", "50000").order for _ in range(10)]
    stage.exchange.collect()
    arrived: list[int] = []
    for _ in range(2_000):
        stage.tick(5)
        arrived += [
            event.order.order_id for event in post.take(stage.now_ns) if hasattr(event, "exec_type")
        ]
    assert arrived == [order.order_id for order in orders]


def conductor(stage: Stage) -> FaultRunner:
    return FaultRunner(stage.exchange, random.Random(3))


def test_a_halt_ends_by_itself() -> None:
    stage = stage_with(
        FaultRule(kind=FaultKind.HALT_SYMBOL, at_ms=100, params={"symbol": SYMBOL, "seconds": 2})
    )
    acts = conductor(stage)
    market = stage.venue.market(SYMBOL)
    seen = []
    for ms in (50, 60, 1_900, 200):
        acts.step(stage.tick(ms))
        seen.append(market.status)
    trading, halted = SymbolStatus.TRADING, SymbolStatus.HALT
    assert seen == [trading, halted, halted, trading]


def test_a_clock_step_makes_fresh_requests_stale_until_it_is_over() -> None:
    stage = stage_with(
        FaultRule(kind=FaultKind.CLOCK_STEP, at_ms=0, params={"step_ms": 7000, "seconds": 1})
    )
    acts = conductor(stage)
    acts.step(stage.tick())
    assert stage.rest("POST", "order", **ORDER)[1]["code"] == -1021
    time_row = stage.raw_rest("GET", "time")[1]
    assert time_row["serverTime"] == stage.now_ns // MS + 7000
    acts.step(stage.tick(1_001))
    assert stage.rest("POST", "order", **ORDER)[0] == 200


def test_a_filter_change_and_its_return() -> None:
    stage = Stage()
    acts = conductor(stage)
    rule = FaultRule(
        kind=FaultKind.FILTER_CHANGE, params={"symbol": SYMBOL, "factor": 2000, "seconds": 1}
    )
    acts.strike(rule, stage.now_ns)
    assert stage.rest("POST", "order", **ORDER)[1]["msg"] == "Filter failure: NOTIONAL"
    acts.step(stage.tick(1_001))
    assert stage.rest("POST", "order", **ORDER)[0] == 200


def test_a_foreign_order_is_on_our_account_and_not_ours_in_the_ledger() -> None:
    stage = Stage(flow_rate_per_s=30)
    conductor(stage).strike(FaultRule(kind=FaultKind.FOREIGN_ORDER), stage.tick())
    (order,) = stage.venue.open_orders("main")
    ledger = stage.ledger()
    rows = ledger["orders"]
    assert isinstance(rows, list)
    assert [(row["order_id"], row["ours"]) for row in rows] == [(order.order_id, False)]


def test_every_kind_is_explained_and_in_the_menu() -> None:
    assert set(EXPLANATIONS) == set(FaultKind)
    text = menu()
    assert all(kind in text for kind in FaultKind)
    wanted = {
        "none",
        "storm",
        "latency",
        "duplicates",
        "disconnects",
        "unknown",
        "ratelimit",
        "halfopen",
        "wipe",
        "clock",
        "halt",
        "foreign",
        "partial_outage",
    }
    assert wanted <= set(PRESETS)


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ({}, "a list of rules"),
        ([1], "rule 0: not an object"),
        ([{"kind": "rain"}], "rule 0: kind 'rain'"),
        ([{"kind": "wipe"}, {"kind": "wipe", "when": 1}], "rule 1: unknown field 'when'"),
        ([{"kind": "wipe", "at_ms": "soon"}], "at_ms is not a whole number"),
        ([{"kind": "wipe", "rate": -1}], "rate is not a number at or above zero"),
        ([{"kind": "wipe", "params": 3}], "params is an object"),
    ],
)
def test_a_script_that_cannot_be_understood_says_where(script: object, complaint: str) -> None:
    with pytest.raises(FaultScriptError, match=complaint):
        rules_of(script)


def test_a_script_comes_from_json() -> None:
    rules = rules_of([{"kind": "mute", "at_ms": 5, "seed": 9, "params": {"seconds": 2}}])
    assert rules == [FaultRule(kind=FaultKind.MUTE, at_ms=5, seed=9, params={"seconds": 2})]
