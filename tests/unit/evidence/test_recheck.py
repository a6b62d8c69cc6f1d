"""Every decision is decided again, by other code, from the lines alone; nothing altered passes."""

import copy
import json

import pytest

from daemon.model.records import EventType
from evidence.decision_inputs import in_windows
from evidence.recheck import main, recheck
from riskcaps.denials import DenyReason
from tests.support.gate_world import GateWorld
from tests.support.journal_maker import encode, whole_story, write_journal


def test_the_rules_agree_with_the_gate_on_every_decision_of_many_worlds(tmp_path):
    met = set()
    checked = 0
    for seed in range(60):
        world = GateWorld(seed).run(120)
        met |= set(world.verdicts)
        result = recheck([write_journal(tmp_path / str(seed), world.maker.lines())])
        checked += result["checked"]
        assert result["is_agreed"], f"seed {seed}: {result['journals'][0]['disagreements']}"
    assert checked > 3000
    assert met <= {reason.value for reason in DenyReason} | {"approved"}
    assert len(met) >= 35, "the worlds have become too tame to judge the rules by"


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
