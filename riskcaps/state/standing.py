"""What stands before every order alike, as a decision records it: health, throttles and losses.

Rule of this file: it is made again only when the version of one of its three parts has moved. The
version that it hands out moves less often: when the rules over it may say something else.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from riskcaps.state.behaviour import ACCOUNT, Behaviour
from riskcaps.state.context import RiskContext
from riskcaps.state.conversion import Rate
from riskcaps.state.drawdown import EquityLedger
from riskcaps.state.gate_health import GateHealth
from riskcaps.state.holds import Account


class Ground(msgspec.Struct, frozen=True):
    """What a decision on one instrument stands on that no order changes, while no fact does."""

    version: int
    """The sum of the counters of all that is in here."""
    verdicts: int
    """The version of `standing` that moves when the rules over it may say something else."""
    context: RiskContext
    standing: Mapping[str, Any]
    market: Mapping[str, Any] = {}
    blocked: str = ""
    is_stranger: bool = True
    """Nobody has heard of the instrument; what follows here means nothing."""
    rate: Rate | None = None
    """Of its quote, where that is the numeraire; any other moves with other markets."""
    of_buys: Account | None = None
    """The account of what a buy spends."""
    of_sells: Account | None = None
    has_position_max: bool = False
    """Whether a filter bounds what is held, so that a decision records it."""


class Standing:
    """One text for all decisions between two changes."""

    def __init__(self, health: GateHealth, behaviour: Behaviour, ledger: EquityLedger) -> None:
        self._health, self._behaviour, self._ledger = health, behaviour, ledger
        self._version = -1
        self._made: tuple[int, dict[str, Any]] = (-1, {})

    def now(self, instrument_id: str) -> tuple[int, dict[str, Any]]:
        """Its version, and the text for one instrument: with the streaks of that one."""
        behaviour, ledger = self._behaviour, self._ledger
        health = self._health.version
        version = health + behaviour.version + ledger.version
        if version != self._version:
            self._version = version
            verdicts = health + behaviour.verdict_version + ledger.verdict_version
            self._made = verdicts, self._make()
        if not behaviour.rejects and not behaviour.losses:
            return self._made
        verdicts, made = self._made
        streaks = [behaviour.executions_since_human, *behaviour.streaks(instrument_id)]
        return verdicts, {**made, "streaks": streaks}

    def _make(self) -> dict[str, Any]:
        health, behaviour, equity = self._health, self._behaviour, self._ledger.equity
        return {
            "trading_state": health.trading_state,
            "journal_ok": health.journal_ok,
            "clock": [health.clock_offset_ns, health.clock_rtt_ns, health.clock_ns],
            "streaks": [
                behaviour.executions_since_human,
                behaviour.rejects.get(ACCOUNT, 0),
                behaviour.losses.get(ACCOUNT, 0),
            ],
            "budget": {name: list(pair) for name, pair in health.budget.items()},
            "budget_ns": health.budget_ns,
            "equity": None if equity is None else str(equity),
            "losses": [
                [str(rule.used), str(rule.limit), rule.action, rule.latched]
                for rule in self._ledger.rules.values()
            ],
        }
