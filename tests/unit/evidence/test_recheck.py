"""Every decision is decided again, by other code, from the lines alone; nothing altered passes."""

import copy
import hashlib
import json
from pathlib import Path

import pytest

from daemon.model.amounts import NS_PER_MS, NS_PER_S
from daemon.model.enums import Side, TradingState
from daemon.model.ids import instrument_id
from daemon.model.records import EventType
from evidence.judge.decision_recheck import recheck
from evidence.judge.disagreement import tell
from evidence.judge.redecide import Redecision
from evidence.judge.risk_contexts import RiskContexts
from evidence.read.decision_inputs import REQUIRED_OF_PORTFOLIO, in_windows
from evidence.read.journal_lines import CapsChangedLine, SessionStartLine
from evidence.recheck import main
from riskcaps.words.capset import capset_from_mapping
from riskcaps.words.denials import DenyReason
from tests.support.builders import SYMBOL_CAPS, caps, instrument, wish
from tests.support.gate_world import BTC, ETH, GateWorld
from tests.support.journal_maker import encode, whole_story, write_journal
from tests.support.wide_world import ETHBTC, WideWorld

BNB = instrument_id("BNBUSDT", "sim")


def test_the_rules_agree_with_the_gate_on_every_decision_of_many_worlds(tmp_path):
    met = set()
    checked = 0
    for seed in range(30):
        world = GateWorld(seed).run(120)
        met |= set(world.verdicts)
        result = recheck([write_journal(tmp_path / str(seed), world.maker.lines())])
        checked += result["checked"]
        assert result["is_agreed"], f"seed {seed}: {result['journals'][0]['disagreements']}"
    assert checked > 1_500
    assert met <= {reason.value for reason in DenyReason} | {"approved"}
    assert len(met) >= 35, "the worlds have become too tame to judge the rules by"


# ---------------------------------------------------------------------- contexts
def world_with_contexts():
    """A journal whose decisions name their caps and filters, filters told by the venue before."""
    world = GateWorld(5).run(150)
    maker = world.maker
    told = [world.gate.risk.contexts.of(iid).plain["filters"] for iid in (BTC, ETH)]
    assert all(told)
    start = next(n for n, r in enumerate(maker.records) if r["event_type"] == "session_start")
    maker.write(EventType.INSTRUMENTS, instruments=told)
    maker.records.insert(start, maker.records.pop())
    return maker


def contexts(records):
    return [r for r in records if r["event_type"] == "risk_context"]


def name_anew(records, context):
    """Make the digest of an altered context good again, wherever it is named."""
    before = context["context"]
    parts = ("instrument_id", "caps_hash", "portfolio_caps", "caps", "filters")
    text = json.dumps({p: context[p] for p in parts}, sort_keys=True, separators=(",", ":"))
    context["context"] = hashlib.sha256(text.encode()).hexdigest()
    for record in records:
        if record.get("decision", {}).get("context") == before:
            record["decision"] = {**record["decision"], "context": context["context"]}


def found(tmp_path, records):
    directory = write_journal(tmp_path, encode(records))
    assert main([str(directory)]) == 2
    return recheck([directory])["journals"][0]["disagreements"]


def test_decisions_that_name_their_caps_and_filters_agree(tmp_path):
    maker = world_with_contexts()
    assert 1 <= len(contexts(maker.records)) <= 2
    result = recheck([write_journal(tmp_path, encode(maker.records))])
    assert result["is_agreed"], result["journals"][0]["disagreements"]
    assert result["agreed"] > 50


def loosen_caps(context):
    context["caps"] = {**context["caps"], "order_qty_base_max": "9000"}


def loosen_portfolio(context):
    context["portfolio_caps"] = {**context["portfolio_caps"], "orders_per_day_max": 10**9}


def loosen_filters(context):
    context["filters"] = {**context["filters"], "notional_min": "0.01"}


def other_hash(context):
    context["caps_hash"] = "00"


def no_caps(context):
    context["caps"] = None


ALTERED = [loosen_caps, loosen_portfolio, loosen_filters, other_hash, no_caps]


@pytest.mark.parametrize("alter", ALTERED)
def test_an_altered_context_is_named_and_no_decision_on_it_agrees(tmp_path, alter):
    maker = world_with_contexts()
    record = contexts(maker.records)[0]
    alter(record)
    wrong = found(tmp_path, maker.records)
    seq = maker.records.index(record) + 1
    (example,) = wrong["context"]["examples"]
    assert example.startswith(f"seq {seq}:")
    assert "not the hash of what the line says" in example
    named = [r for r in maker.records if r.get("decision", {}).get("context") == record["context"]]
    assert wrong["undecidable"]["count"] == len(named) > 10


@pytest.mark.parametrize("alter", [loosen_caps, loosen_portfolio, loosen_filters, no_caps])
def test_an_altered_context_with_every_digest_made_good_again_is_named_all_the_same(
    tmp_path, alter
):
    maker = world_with_contexts()
    record = contexts(maker.records)[0]
    alter(record)
    name_anew(maker.records, record)
    wrong = found(tmp_path, maker.records)
    assert wrong["context"]["count"] == 1
    told = "that the venue told" if alter is loosen_filters else "session's start wrote down"
    assert told in wrong["context"]["examples"][0]


def test_decisions_on_a_kind_of_instrument_without_rules_cannot_be_decided(tmp_path):
    """Told so by the venue as well: nothing is altered, and spot's rules are not guessed for it."""
    maker = world_with_contexts()
    for told in [r for r in maker.records if r["event_type"] == "instruments"]:
        told["instruments"] = [{**one, "kind": "perpetual"} for one in told["instruments"]]
    for record in contexts(maker.records):
        record["filters"] = {**record["filters"], "kind": "perpetual"}
        name_anew(maker.records, record)
    wrong = found(tmp_path, maker.records)
    assert "no rules are known for kind 'perpetual'" in wrong["undecidable"]["examples"][0]
    approved = [r for r in maker.records if r["event_type"] == "order_approved"]
    assert wrong["undecidable"]["count"] >= len(approved) > 10


def test_a_context_of_other_caps_than_the_sessions_denies_agreement(tmp_path):
    maker = world_with_contexts()
    record = contexts(maker.records)[0]
    other_hash(record)
    name_anew(maker.records, record)
    assert "not the session's caps" in found(tmp_path, maker.records)["input"]["examples"][0]


def test_a_decision_before_its_context_or_without_it_cannot_be_decided(tmp_path):
    maker = world_with_contexts()
    record = contexts(maker.records)[0]
    named = [r for r in maker.records if r.get("decision", {}).get("context") == record["context"]]
    gone = [r for r in maker.records if r is not record]
    late = list(gone)
    late.insert(late.index(named[0]) + 1, record)
    for place, (records, count) in enumerate(((gone, len(named)), (late, 1))):
        wrong = found(tmp_path / str(place), records)
        assert wrong["undecidable"]["count"] == count
        first = wrong["undecidable"]["examples"][0]
        assert first.startswith(f"seq {records.index(named[0]) + 1}:")
        assert "no line before it states its context" in first


def test_a_decision_on_the_context_of_another_instrument_cannot_be_decided(tmp_path):
    maker = world_with_contexts()
    ours, other = contexts(maker.records)[:2]
    named = [r for r in maker.records if r.get("decision", {}).get("context") == ours["context"]]
    last = named[-1]
    last["decision"] = {**last["decision"], "context": other["context"]}
    wrong = found(tmp_path, maker.records)
    assert "its context is that of" in wrong["undecidable"]["examples"][0]


def test_a_decision_that_carries_its_own_caps_is_held_against_the_sessions_too(tmp_path):
    maker = whole_story()
    record = approvals(maker.records)[2]
    caps = {**record["decision"]["caps"], "order_qty_base_max": "9000"}
    record["decision"] = {**record["decision"], "caps": caps}
    wrong = found(tmp_path, maker.records)
    assert "session's start wrote down" in wrong["input"]["examples"][0]


@pytest.mark.parametrize("changed", ["9", 5, None])
def test_tightened_caps_are_followed_where_their_hash_shows_them(tmp_path, changed):
    """A changed value that does not give the stated hash is not followed, and not believed."""
    maker = world_with_contexts()
    start = next(r for r in maker.records if r["event_type"] == "session_start")
    old = start["caps"]
    new = json.loads(json.dumps(old))
    new["orders_per_day_max"] = 5
    text = json.dumps(new, sort_keys=True, separators=(",", ":"))
    held = RiskContexts()
    held.session_started(SessionStartLine(1, 1, "", "sim", caps_hash=start["caps_hash"], caps=old))
    held.caps_changed(
        CapsChangedLine(
            1, 1, "", "sim",
            old_hash=start["caps_hash"], new_hash=hashlib.sha256(text.encode()).hexdigest(),
            changes={} if changed is None else {"orders_per_day_max": changed},
        )
    )  # fmt: skip
    record = contexts(maker.records)[0]
    stated = {**record, "caps_hash": held.caps_hash}
    followed = "its caps are not those that the session's start wrote down"
    assert (followed in held.differences(stated)) is (changed == 5)
    stated["portfolio_caps"] = {k: v for k, v in new.items() if k != "symbols"}
    assert held.differences(stated) == []


# ---------------------------------------------------------------------- decisions
def approvals(records):
    return [r for r in records if r["event_type"] == "order_approved"]


NUMBERS = [
    ("position", "0.5"), ("buys_open", "0.9"), ("sells_open", "0.9"), ("traded_qty", "50"),
    ("attempts", [0, 0, 0, 0]), ("symbol_minute", 900), ("executions", 9000),
    ("orders_open", [7, 7, 7]), ("own_px", ["1", "1", "1"]), ("others", {}),
    ("unknown_orders", 1), ("caps_hash", "33"), ("now_ns", 1), ("qty_approved", "0.09"),
    ("price", "1"), ("side", "NEITHER"), ("verdict", "order_qty"), ("bid", "9999"),
    ("halted", True), ("trading_state", "HALTED"), ("streaks", [99999, 0, 0]),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), NUMBERS, ids=[key for key, _ in NUMBERS])
def test_an_altered_input_shows(tmp_path, key, value):
    maker = whole_story(orders=30)
    record = approvals(maker.records)[20]
    assert record["decision"][key] != value
    record["decision"] = {**record["decision"], key: value}
    result = recheck([write_journal(tmp_path, maker.lines())])
    assert not result["is_agreed"]
    places = [
        example
        for fault in result["journals"][0]["disagreements"].values()
        for example in fault["examples"]
    ]
    seq = maker.records.index(record) + 1
    assert all(place.startswith(f"seq {seq}:") for place in places)


def test_a_decision_without_inputs_is_no_agreement(tmp_path):
    maker = whole_story()
    approvals(maker.records)[3]["decision"] = {}
    result = recheck([write_journal(tmp_path, maker.lines())])
    assert result["journals"][0]["disagreements"]["absent"]["count"] == 1
    assert result["agreed"] == result["checked"] - 1


def test_an_input_that_is_missing_makes_it_undecidable(tmp_path):
    maker = whole_story()
    decision = copy.deepcopy(approvals(maker.records)[3]["decision"])
    del decision["balance"]
    approvals(maker.records)[3]["decision"] = decision
    result = recheck([write_journal(tmp_path, maker.lines())])
    assert "balance" in result["journals"][0]["disagreements"]["undecidable"]["examples"][0]


def test_an_order_approved_against_its_cap_is_named(tmp_path):
    maker = whole_story()
    record = approvals(maker.records)[0]
    caps = {**record["decision"]["caps"], "order_qty_base_max": "0.001"}
    record["decision"] = {**record["decision"], "caps": caps}
    result = recheck([write_journal(tmp_path, maker.lines())])
    (example,) = result["journals"][0]["disagreements"]["verdict"]["examples"]
    assert "approved there, order_qty by the rules" in example


def test_a_hidden_approval_shows_in_the_next_decision(tmp_path):
    """Removing an order changes what later decisions must have known."""
    maker = whole_story(orders=30)
    cid = approvals(maker.records)[5]["client_order_id"]
    kept = [r for r in maker.records if r.get("client_order_id") != cid]
    result = recheck([write_journal(tmp_path, encode(kept))])
    assert result["journals"][0]["disagreements"]["input"]["count"] > 0


@pytest.mark.parametrize(
    ("edit", "code"),
    [(lambda r: None, 0), (lambda r: r.update(qty="0.0777"), 2)],
    ids=["agrees", "disagrees"],
)
def test_the_command_tells_by_exit_code_and_in_words(tmp_path, capsys, edit, code):
    maker = whole_story()
    edit(approvals(maker.records)[2])
    directory = write_journal(tmp_path, maker.lines())
    assert main([str(directory)]) == code
    text = capsys.readouterr().out
    assert ("DISAGREES" in text) == (code == 2)
    assert main([str(directory), "--json"]) == code
    assert json.loads(capsys.readouterr().out)["is_agreed"] is (code == 0)


def test_a_line_altered_after_it_was_written_is_named_even_where_its_decision_still_agrees(
    tmp_path, capsys
):
    """Whose wish it was decides nothing; the hash of the bytes tells."""
    lines = whole_story(orders=30).lines()
    place = next(n for n, line in enumerate(lines) if b'"order_approved"' in line)
    lines[place] = lines[place].replace(b'"strategy_id":"', b'"strategy_id":"x', 1)
    directory = write_journal(tmp_path, lines)
    assert main([str(directory)]) == 2
    text = capsys.readouterr().out
    assert "BROKEN (chain_break, 1 in all)" in text
    assert f"seq {place + 2} does not carry the hash of the line before it" in text


def test_a_tail_that_a_kill_cut_short_is_told_and_is_no_disagreement(tmp_path, capsys):
    directory = write_journal(tmp_path, whole_story().lines())
    with max(directory.glob("journal*")).open("ab") as file:
        file.write(b'{"seq":99999,"ts":')
    assert main([str(directory)]) == 0
    assert "reader (torn_tail, 1 in all)" in capsys.readouterr().out


def test_an_unreadable_input_is_one_line_and_exit_code_1(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "nowhere" in error


def test_decisions_on_cancels_are_no_placements(tmp_path):
    maker = whole_story(sessions=0)
    maker.write(
        EventType.ORDER_DENIED, symbol="BTCUSDT", instrument_id="BTCUSDT@sim",
        deny_reason="not_owner", deny_context={}, decision={"verdict": "not_owner"},
    )  # fmt: skip
    result = recheck([write_journal(tmp_path, maker.lines())])
    assert (result["checked"], result["is_agreed"]) == (0, True)
    assert result["journals"][0]["not_placements"] == 1


@pytest.mark.parametrize(
    ("window", "second", "expected"),
    [
        ("00:00-24:00", 0, True),
        ("Thu 00:00-00:01", 0, True),  # 1970-01-01 was a Thursday
        ("Thu 00:00-00:01", 60, False),
        ("Mon-Wed 00:00-24:00", 0, False),
        ("Mon-Fri 07:00-21:30", 7 * 3600, True),
        ("Mon-Fri 07:00-21:30", 21 * 3600 + 1800, False),
        ("Sun 23:59-24:00", 3 * 86400 + 86340, True),
    ],
)
def test_trading_windows(window, second, expected):
    assert in_windows(second * 10**9, [window]) is expected


# ---------------------------------------------------------------------- honest, and decidable
def test_no_honest_decision_is_undecidable(tmp_path):
    """Cross pairs without a rate, strangers, stops, extras, amounts that no venue has, restarts."""
    met = set()
    checked = 0
    for seed in range(20):
        world = WideWorld(seed).run(150)
        met |= set(world.verdicts)
        result = recheck([write_journal(tmp_path / str(seed), world.maker.lines())])
        checked += result["checked"]
        assert result["is_agreed"], f"seed {seed}: {result['journals'][0]['disagreements']}"
    assert checked > 1_500
    assert met >= {"rate_missing", "symbol_not_allowed", "malformed_order", "filter_trailing"}


def test_symbols_traded_is_decided_by_the_accountant_himself_and_not_before_there_was_such_a_cap():
    portfolio = dict.fromkeys(REQUIRED_OF_PORTFOLIO, 1) | {"symbols_traded_max": 1}
    asked = {
        "portfolio_caps": portfolio, "caps": {}, "filters": {}, "side": "BUY",
        "order_type": "LIMIT", "others": {"ETHUSDT@sim": []}, "position": "0",
        "orders_open": [0, 0, 1], "now_ns": 1,
    }  # fmt: skip
    assert Redecision(asked)._symbols() == "symbols_traded"
    for more in (
        {"others": {}}, {"position": "0.1"}, {"orders_open": [1, 0, 2]},
        {"portfolio_caps": {**portfolio, "symbols_traded_max": 2}},
        {"portfolio_caps": dict.fromkeys(REQUIRED_OF_PORTFOLIO, 1)},
    ):  # fmt: skip
        assert Redecision({**asked, **more})._symbols() == "", more


def test_a_reducing_order_without_a_rate_is_decided_again(tmp_path):
    """The portfolio's caps do not ask a reducing order for a rate; the turnover does."""
    world = WideWorld(4, is_calm=True)
    gate, maker = world.gate, world.maker
    world.price(ETHBTC, "1.0000", "1.0010")
    world.price(BTC, "100.00", "100.10")
    world.wish(wish(Side.BUY, "0.1", "1.0000", iid=ETHBTC))
    (cid,) = world.orders
    world.fill_whole(cid)
    world.price(BTC, "100.00", "99.00")  # crossed: the cross pair's quote has no rate
    world.wish(wish(Side.SELL, "0.05", "1.0000", iid=ETHBTC))
    assert world.verdicts == ["approved", "rate_missing"]
    assert maker.records[-1]["decision"]["rate"] is None
    assert gate.risk.books.positions()[ETHBTC].qty > 0
    result = recheck([write_journal(tmp_path, maker.lines())])
    assert result["is_agreed"], result["journals"][0]["disagreements"]


@pytest.mark.parametrize(
    ("reason", "tight"),
    [
        ("orders_per_minute", {"portfolio": {"orders_per_minute_max": 2}}),
        ("orders_per_minute_symbol", {"orders_per_minute_max": 2}),
        ("orders_per_hour", {"orders_per_hour_max": 2}),
        ("orders_per_day", {"orders_per_day_max": 2}),
        ("orders_open_symbol", {"orders_open_max": 2}),
        (
            "order_to_trade_ratio",
            {"order_to_trade_grace_orders": 1, "order_to_trade_ratio_max": "1"},
        ),
        ("traded_qty_per_day", {"traded_qty_per_day_base_max": "0.25"}),
        ("exposure_symbol", {"exposure_quote_max": "25"}),
        ("symbols_traded", {"symbols_traded_max": 1}),
        ("loss_session", {"loss_session_numeraire_max": "1"}),
        ("loss_day", {"loss_day_numeraire_max": "1"}),
        ("drawdown", {"drawdown_numeraire_max": "1"}),
    ],
)
def test_a_cap_that_is_met_is_met_again(tmp_path, reason, tight):
    world = WideWorld(4, is_calm=True, **tight)
    for number in range(9):
        world.maker.now_ns += NS_PER_S
        price = 100 - 2 * number
        for iid in (BTC, ETH, ETHBTC):
            world.price(iid, f"{price}.00", f"{price}.10")
        world.gate.risk.on_clock(0, NS_PER_MS, world.maker.now_ns)
        world.gate.risk.alerts.take()
        world.wish(wish(Side.BUY, "0.1", f"{price - 1}.00", iid=ETH if number == 2 else BTC))
        if (number in {0, 1} and "loss" in reason) or reason == "drawdown":
            for cid in list(world.orders):
                world.fill_whole(cid)
        if reason in world.verdicts:
            break
    assert reason in world.verdicts, world.verdicts
    result = recheck([write_journal(tmp_path, world.maker.lines())])
    assert result["is_agreed"], result["journals"][0]["disagreements"]
    assert result["journals"][0]["agreed_by_verdict"][reason] >= 1


# ---------------------------------------------------------------------- known here, unknown there
@pytest.mark.parametrize("has_filters", [True, False], ids=["told", "not told"])
@pytest.mark.parametrize("is_watched", [True, False], ids=["watched", "not watched"])
@pytest.mark.parametrize("unset", ["", "numeraire"], ids=["all set", "portfolio unset"])
@pytest.mark.parametrize(
    "table", [None, {}, {"collar_bps_max": 0}, {"order_qty_base_max": "0"}], ids=str
)
@pytest.mark.parametrize("name", ["BNBUSDT", "BNBUSDT@sim"])
def test_gate_and_recheck_agree_on_a_symbol_that_one_of_them_does_not_know(
    tmp_path, *, has_filters, is_watched, unset, table, name
):
    """With caps or without, watched or not, told by the venue or not: one verdict."""
    plain = {key: value for key, value in caps(()).to_plain().items() if key != unset}
    if table is not None:
        plain["symbols"] = {name: {**SYMBOL_CAPS, **table}}
    world = GateWorld(1, capset=capset_from_mapping(plain))
    if is_watched:
        world.gate.risk.block_symbol(BNB, "the gate is DOWN")
    if has_filters:
        world.gate.risk.on_instruments((instrument("BNBUSDT"),))
    for state in (TradingState.ACTIVE, TradingState.HALTED):
        world.gate.risk.set_trading_state(state)
        world.wish_on(BNB)
    result = recheck([write_journal(tmp_path, world.maker.lines())])
    assert result["checked"] == 2
    assert result["is_agreed"], result["journals"][0]["disagreements"]
    if table is None:
        assert "approved" not in world.verdicts
        assert world.verdicts[0] in {"symbol_not_allowed", "trading_halted"}


# ---------------------------------------------------------------------- explained
def test_a_disagreement_shows_both_computations_side_by_side(tmp_path):
    maker = whole_story(sessions=1, orders=10, seed=3)
    place = [n for n, one in enumerate(maker.records) if one["event_type"] == "order_approved"][-1]
    decision = maker.records[place]["decision"]
    decision["position"] = "0.777"
    decision["qty"] = decision["qty_approved"] = maker.records[place]["qty"] = "0.9"
    result = recheck([write_journal(tmp_path, encode(maker.records))])
    (one,) = [row for row in result["journals"][0]["explained"] if row["seq"] == place + 1]
    rows = {row["what"]: (row["daemon"], row["accountant"]) for row in one["rows"]}
    assert rows["verdict"] == ("approved", "order_qty")
    assert rows["position"][0] == "0.777"
    assert rows["position"][1] != "0.777"
    assert rows["asked for: order_qty_base_max (cap of the symbol)"] == ("-", "0.1")
    text = tell(result).splitlines()
    assert any("approved" in line and "≠ order_qty" in line for line in text)
    assert any(line.split()[:4] == ["position", "0.777", "≠", rows["position"][1]] for line in text)


def test_decisions_that_agree_are_not_explained(tmp_path):
    result = recheck([write_journal(tmp_path, whole_story(sessions=1).lines())])
    assert (result["is_agreed"], result["journals"][0]["explained"]) == (True, [])


def test_a_decision_states_its_caps_once(tmp_path):
    """Beside the context that it names it must not state other caps: each reader takes his own."""
    maker = world_with_contexts()
    first = next(one for one in maker.records if one["event_type"] == "order_approved")
    first["decision"]["caps_hash"] = "0" * 64
    result = recheck([write_journal(tmp_path, encode(maker.records))])
    examples = result["journals"][0]["disagreements"]["undecidable"]["examples"]
    assert "states another caps_hash than its context" in examples[0]


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        ({"limit": "123456"}, "123456 with the denial"),
        ({"used": "0.0000001"}, "which is not too much"),
    ],
)
def test_the_figures_that_a_denial_was_told_with_are_held_to_the_caps(
    edit: dict[str, str], why: str, tmp_path: Path
) -> None:
    world = GateWorld(3).run(120)
    records = world.maker.records
    assert recheck([write_journal(tmp_path / "honest", encode(records))])["is_agreed"]
    denied = next(
        one
        for one in records
        if {"cap", "limit", "used"} <= one.get("deny_context", {}).keys()
        and not one["deny_context"]["cap"].startswith("messages")
    )
    denied["deny_context"] = {**denied["deny_context"], **edit}
    found = recheck([write_journal(tmp_path / "edited", encode(records))])
    (told,) = found["journals"][0]["disagreements"]["input"]["examples"]
    assert why in told
