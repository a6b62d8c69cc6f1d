"""What stands before every order alike, as a decision records it: health, throttles and losses.

Rule of this file: it is made again only when the version of one of its three parts has moved. The
version that it hands out moves less often: when the rules over it may say something else.
"""

from typing import Any

from riskcaps.state.behaviour import Behaviour
from riskcaps.state.drawdown import EquityLedger
from riskcaps.state.gate_health import GateHealth


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
            "streaks": [behaviour.executions_since_human, 0, 0],  # others `now` puts in
            "budget": health.budget,
            "budget_ns": health.budget_ns,
            "equity": None if equity is None else str(equity),
            "losses": [
                [str(rule.used), str(rule.limit), rule.action, rule.latched]
                for rule in self._ledger.rules.values()
            ],
        }
