"""Drills A to G of the gating machine: each sets the keys as it says and looks at what is refused.

They run on the very class that guards a live host, without a venue: no order exists to leave.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from control.gating import (
    TOKEN_LIFE_NS,
    Binding,
    Gating,
    GatingEvent,
    GatingRefusal,
    Promotion,
)
from daemon.model.enums import Mode

_NOW_NS = 1_000
_BINDING = Binding(config_hash="c", caps_hash="k", account="a", host="h")
_TOKEN = "DRILL-TOKEN"  # noqa: S105 - of the drill's own machine, opens nothing else


@dataclass(frozen=True, slots=True)
class GatingDrill:
    """One drill's outcome."""

    drill: str
    what: str
    passed: bool
    refusals: tuple[str, ...]
    note: str = ""

    def to_plain(self) -> dict[str, Any]:
        """For the record and for --json."""
        return {
            "drill": self.drill,
            "what": self.what,
            "passed": self.passed,
            "refusals": list(self.refusals),
            "note": self.note,
        }


def all_keys_turned(mode: Mode = Mode.LIVE) -> Gating:
    """A machine in ARMED with every key but the token, and one token issued."""
    gating = Gating(
        mode=mode,
        binding=_BINDING,
        caps_within_pilot=True,
        dry_run=False,
        promotion=Promotion(
            config_hash="c", caps_hash="k", account="a", expires_ns=10**18, signature_valid=True
        ),
    )
    gating.turn(GatingEvent.ENABLE)
    gating.turn(GatingEvent.ARM)
    gating.tokens.issue(_TOKEN, gating.binding, _NOW_NS)
    return gating


def run_gating_drills() -> list[GatingDrill]:
    """All of them, in order."""
    return [drill() for drill in _DRILLS]


def _result(name: str, what: str, gating: Gating, *expected: GatingRefusal) -> GatingDrill:
    decision = gating.decide(_NOW_NS)
    return GatingDrill(
        name,
        what,
        passed=not decision.allowed and set(expected) <= set(decision.refusals),
        refusals=tuple(refusal.value for refusal in decision.refusals),
        note=decision.note,
    )


def _fully_braked() -> GatingDrill:
    gating = Gating(mode=Mode.LIVE, binding=_BINDING)
    return _result("A", "fully braked", gating, GatingRefusal.NOT_ENABLED, GatingRefusal.NOT_ARMED)


def _gate_one_only() -> GatingDrill:
    gating = Gating(mode=Mode.LIVE, binding=_BINDING)
    gating.turn(GatingEvent.ENABLE)
    return _result("B", "enabled, not armed", gating, GatingRefusal.NOT_ARMED)


def _armed_but_dry() -> GatingDrill:
    gating = all_keys_turned()
    gating.dry_run = True
    gating.confirm(_TOKEN, _NOW_NS)
    return _result("C", "all armed, dry run", gating, GatingRefusal.DRY_RUN)


def _tokens() -> GatingDrill:
    """Missing, wrong, expired, reused, for another config: each alone keeps it shut."""
    seen: list[GatingRefusal] = []

    def try_token(
        text: str, now_ns: int = _NOW_NS, prepare: Callable[[Gating], object] = lambda _g: None
    ) -> bool:
        gating = all_keys_turned()
        prepare(gating)
        seen.extend(gating.confirm(text, now_ns))
        return gating.decide(_NOW_NS).allowed

    def reuse(gating: Gating) -> None:
        gating.confirm(_TOKEN, _NOW_NS)
        gating.turn(GatingEvent.END)

    def issue_for_another(gating: Gating) -> None:
        other = Binding(config_hash="other", caps_hash="k", account="a", host="h")
        gating.tokens.issue(_TOKEN, other, _NOW_NS)

    opened = [
        try_token(""),
        try_token("WRONG"),
        try_token(_TOKEN, _NOW_NS + TOKEN_LIFE_NS),
        try_token(_TOKEN, prepare=reuse),
        try_token(_TOKEN, prepare=issue_for_another),
    ]
    expected = [
        GatingRefusal.TOKEN_MISSING,
        GatingRefusal.TOKEN_WRONG,
        GatingRefusal.TOKEN_EXPIRED,
        GatingRefusal.TOKEN_REUSED,
        GatingRefusal.TOKEN_MISMATCH,
    ]
    return GatingDrill(
        "D",
        "token missing, wrong, expired, reused, for another config",
        passed=not any(opened) and seen == expected,
        refusals=tuple(refusal.value for refusal in seen),
    )


def _caps_refuse() -> GatingDrill:
    gating = all_keys_turned()
    gating.confirm(_TOKEN, _NOW_NS)
    gating.rebind(gating.binding, caps_within_pilot=False)
    return _result("E", "caps above the pilot's", gating, GatingRefusal.CAPS_ABOVE_PILOT)


def _no_real_money(name: str, mode: Mode) -> GatingDrill:
    gating = Gating(mode=mode, binding=_BINDING, dry_run=False)
    decision = gating.decide(_NOW_NS)
    return GatingDrill(
        name,
        f"{mode.value} mode: no token asked for, and it says so",
        passed=decision.allowed and "no confirm token needed" in decision.note,
        refusals=tuple(refusal.value for refusal in decision.refusals),
        note=decision.note,
    )


_DRILLS: tuple[Callable[[], GatingDrill], ...] = (
    _fully_braked,
    _gate_one_only,
    _armed_but_dry,
    _tokens,
    _caps_refuse,
    lambda: _no_real_money("F", Mode.TESTNET),
    lambda: _no_real_money("G", Mode.SIM),
)
