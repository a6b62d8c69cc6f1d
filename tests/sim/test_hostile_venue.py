"""Seeded worlds against a venue that answers in every documented way, with kills in mid-turn.

A failing seed is printed in the assertion. To look at it:

    .venv/bin/python -c "from tests.sim.test_hostile_venue import play; play('bots', 1234)"
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from daemon.core import fold
from daemon.core.durable_state import DurableState
from daemon.venues.binance_spot.serving.units import e8_of
from evidence.report.report import build_report
from riskcaps.state.risk_state import RiskState
from tests.support.journal_maker import encode, write_journal
from tests.support.sim_chaos import FaultMenu
from tests.support.sim_hostile import Hostile, HostileBots, Hostility
from tests.support.sim_journal import books_of, records_of

SEEDS_PER_CHUNK = 40
ALLOWED = ("foreign orders", "no session in it")
"""What may truly be held against such a world."""
CHUNKS = [0, *(pytest.param(one, marks=pytest.mark.campaign) for one in range(1, 16))]


def play(kind: str, seed: int, **more: Any) -> Hostile:
    """One world to its rest, judged by the venue's books."""
    world = HostileBots(seed, **more) if kind == "bots" else Hostile(seed, **more)
    world.run(5.0)
    if isinstance(world, HostileBots):
        try:
            world.judge.at_rest()
        except AssertionError as error:
            error.args = (f"seed {seed}: {error}",)
            raise
    return world


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["strategy", "bots"])
@pytest.mark.parametrize("chunk", CHUNKS)
def test_caps_fills_and_states_are_those_of_the_venue(chunk: int, kind: str) -> None:
    counts: Counter[str] = Counter()
    for seed in range(chunk * SEEDS_PER_CHUNK, (chunk + 1) * SEEDS_PER_CHUNK):
        world = play(kind, seed)
        counts += Counter(
            orders=world.checker.orders, fills=world.checker.fills, cuts=world.cuts,
            faults=world.faults, denied=world.checker.denied,
        )  # fmt: skip
    # A world in which nothing happens proves nothing.
    assert counts["orders"] > 8 * SEEDS_PER_CHUNK
    assert counts["fills"] > 2 * SEEDS_PER_CHUNK
    assert counts["faults"] > 10 * SEEDS_PER_CHUNK
    assert counts["denied"] > 5 * SEEDS_PER_CHUNK
    assert counts["cuts"] > 0


def test_balances_that_held_a_trade_without_a_line_are_not_counted_twice() -> None:
    """An incident is resolved while a trade is owed: it was counted twice, and stopped us."""
    assert play("bots", 60_620).checker.fills


@pytest.mark.parametrize("seed", [100, 107, 110, 120])
def test_money_that_is_lost_after_balances_were_taken_over_halts(seed: int) -> None:
    """The other kind: the operator resolves, the basis is new, and a little less is there then."""

    class Robbed(Hostile if seed < 110 else HostileBots):
        stolen_ns = 0

        def _weather(self) -> None:
            taken = sum(fact.get("basis_set") is True for fact in self.facts)
            if taken > 1 and not self.stolen_ns:
                self.stolen_ns = self.now_ns
                self.venue.accounts["main"].wallet("USDT").free -= e8_of("0.37")
            super()._weather()

    hostility = Hostility(stranger=0.06, lagging_stream=0.1, lagging_trades=0.5, old_read=0.2)
    world = Robbed(seed, menu=FaultMenu(), hostility=hostility)
    with pytest.raises(AssertionError, match="our books and the venue's differ: balance USDT"):
        world.run(5.0)
    assert world.stolen_ns


@pytest.mark.parametrize("chunk", CHUNKS)
def test_the_accountant_agrees_with_the_venues_books(chunk: int, tmp_path: Path) -> None:
    """The journals of such worlds verify; an order of a stranger is all that it may hold against
    one."""
    judged = 0
    for seed in range(chunk * 16, (chunk + 1) * 16):
        world = play(("strategy", "bots")[seed % 2], 50_000 + seed)
        journal = write_journal(tmp_path / f"{seed}", encode(records_of(world)))
        books = tmp_path / f"{seed}.json"
        books.write_text(json.dumps(books_of(world)))
        report = build_report([journal], ledger=books)
        reasons = [one for one in report.reasons if not any(why in one for why in ALLOWED)]
        assert not reasons, f"seed {world.seed}: {reasons}"
        assert report.verdict == "OK" or world.checker.foreign or "no session" in report.reasons[0]
        judged += report.verdict == "OK"
    assert judged > 4


# ---------------------------------------------------------------------- the judge is judged
def recovery_forgets_orders(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(fold.FOLDS, "order_approved", lambda *_: None)


def recovery_forgets_fills(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(fold.FOLDS, "fill", lambda *_: None)


def a_restart_frees_the_caps(patch: pytest.MonkeyPatch) -> None:
    kept = DurableState.restore

    def freeing(self: DurableState, state: Any) -> None:
        kept(self, state)
        for cid in list(self.interceptor.risk.books.holds):
            self.interceptor.risk.on_terminal(cid, 0)

    patch.setattr(DurableState, "restore", freeing)


def an_unknown_order_frees_the_caps(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RiskState, "on_unknown", RiskState.on_terminal)


@pytest.mark.parametrize(
    "plant",
    [
        recovery_forgets_orders,
        recovery_forgets_fills,
        a_restart_frees_the_caps,
        an_unknown_order_frees_the_caps,
    ],
)
def test_a_planted_bug_is_found(plant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    hostility = Hostility(
        cut=0.02, checkpoint=0.2, unknown_status=0.3, unknown_first=0.1, old_read=0.3
    )
    with pytest.raises((AssertionError, KeyError, ValueError)):
        _many(hostility)


def _many(hostility: Hostility) -> None:
    for seed in range(9000, 9025):
        Hostile(seed, menu=FaultMenu(), hostility=hostility).run(5.0)
