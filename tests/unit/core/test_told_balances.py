"""Balances on the line of a comparison: what changed, never what was never held; recovery and the
comparison itself do as with all of them on every line."""

import random
from typing import Any

import orjson
import pytest

from daemon.model.inputs import SnapshotTaken
from tests.support.builders import command, engine, snapshot
from tests.support.screenplay import Stage

HELD = {"USDT": "100000", "BTC": "100", "ETH": "100"}
NEVER_HELD = {f"COIN{number}": "0" for number in range(3_000)}


def ready(balances: dict[str, str]) -> Stage:
    stage = Stage().ready_links()
    stage.tell(SnapshotTaken(snapshot(balances=balances)))
    stage.asked.clear()
    stage.quote()
    return stage


def compared(stage: Stage, balances: dict[str, str]) -> dict[str, Any]:
    """One more round with these balances; its line."""
    if not stage.asked:
        stage.tell(command("reconcile", "look", command_id=f"c{stage.seq}"))
    stage.tell(SnapshotTaken(snapshot(balances=balances, reason=stage.asked.popleft())))
    line: dict[str, Any] = stage.facts_of("reconciled")[-1]
    return line


def recovered(stage: Stage) -> str:
    twin, gate, _ = engine(stage.config)
    for fact in orjson.loads(orjson.dumps(stage.facts)):
        twin.apply_fact(fact)
    twin.finish_recovery(stage.now_ns)
    for one in (stage.gate, gate):
        one.risk.usage(stage.now_ns)
    return twin.state_hash()


def test_three_thousand_assets_that_were_never_held_cost_nothing() -> None:
    stage = ready({**HELD, **NEVER_HELD})
    first = stage.facts_of("reconciled")[-1]
    assert set(first["balances"]) == set(HELD)
    assert len(orjson.dumps(first)) < 500
    again = compared(stage, {**HELD, **NEVER_HELD})
    assert (again["balances"], again["clean"]) == ({}, True)
    assert len(orjson.dumps(again)) < 400
    assert len(orjson.dumps(stage.engine.state()["basis"])) < 100
    assert recovered(stage) == stage.engine.state_hash()


def test_what_changed_is_told_and_what_became_zero_too() -> None:
    stage = ready(HELD)
    assert compared(stage, {**HELD, "BTC": "99.5"})["balances"] == {"BTC": ["99.5", "0"]}
    gone = compared(stage, {"USDT": "100000", "BTC": "99.5"})
    assert gone["balances"] == {"ETH": ["0", "0"]}
    assert {one["symbol"] for one in gone["differences"]} == {"BTC", "ETH"}
    assert compared(stage, {"USDT": "100000", "BTC": "99.5"})["balances"] == {}
    assert recovered(stage) == stage.engine.state_hash()


@pytest.mark.parametrize("listed", [True, False])
def test_an_asset_that_comes_from_nowhere_is_a_difference_whether_or_not_it_was_listed(
    *, listed: bool
) -> None:
    stage = ready({**HELD, "GIFT": "0"} if listed else HELD)
    line = compared(stage, {**HELD, "GIFT": "5"})
    assert [one["symbol"] for one in line["differences"]] == ["GIFT"]
    assert line["balances"] == {"GIFT": ["5", "0"]}
    stage.after(2_000)
    assert [one["symbol"] for one in compared(stage, {**HELD, "GIFT": "5"})["differences"]] == [
        "GIFT"
    ]
    assert recovered(stage) == stage.engine.state_hash()


def test_a_snapshot_says_the_same_with_zeros_and_without() -> None:
    rng = random.Random(4)
    with_zeros, without = ready({**HELD, **NEVER_HELD}), ready(HELD)
    for _ in range(40):
        held = {
            asset: str(rng.choice((0, 1, 100, 100)))
            for asset in (*HELD, "BNB", "COIN7")
            if rng.random() < 0.9
        }
        for stage, balances in (
            (with_zeros, {**NEVER_HELD, **held}),
            (without, {asset: text for asset, text in held.items() if text != "0"}),
        ):
            compared(stage, balances)
            stage.after(1_500)
        assert with_zeros.facts == without.facts
    assert with_zeros.engine.state_hash() == without.engine.state_hash()
    assert recovered(without) == without.engine.state_hash()
