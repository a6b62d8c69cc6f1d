"""There is no path to a live host without all five keys, whatever is turned in whatever order."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from control.gating import (
    TOKEN_LIFE_NS,
    TRANSITIONS,
    WRONG_TOKENS_MAX,
    Binding,
    Gating,
    GatingEvent,
    GatingRefusal,
    GatingState,
    Promotion,
    TokenBook,
    token_digest,
)
from control.tool.gating_drills import all_keys_turned, run_gating_drills
from daemon.model.enums import Mode

NOW = 1_000
SPENT = {GatingRefusal.TOKEN_EXPIRED, GatingRefusal.TOKEN_MISMATCH, GatingRefusal.TOKEN_REUSED}
BINDINGS = [
    Binding(config_hash=config, caps_hash=caps, account="a", host="h")
    for config, caps in itertools.product("cd", "kl")
]


def promotion_for(binding: Binding, **changes: Any) -> Promotion:
    fields: dict[str, Any] = {
        "config_hash": binding.config_hash,
        "caps_hash": binding.caps_hash,
        "account": binding.account,
        "expires_ns": NOW + 10 * TOKEN_LIFE_NS,
        "signature_valid": True,
        **changes,
    }
    return Promotion(**fields)


class LiveGate(RuleBasedStateMachine):
    """A clumsy or clever operator at every lever, against a plain account of which keys fit."""

    @initialize()
    def boot(self) -> None:
        self.gating = Gating(mode=Mode.LIVE, binding=BINDINGS[0])
        self.now_ns = NOW
        self.enabled = self.armed = False
        self.confirmed: Binding | None = None
        self.good: dict[str, tuple[Binding, int]] = {}
        self.names = itertools.count()

    @rule(event=st.sampled_from(list(GatingEvent)))
    def turn(self, event: GatingEvent) -> None:
        refused = self.gating.turn(event)
        if refused is not None:
            return
        if event is GatingEvent.ENABLE:
            self.enabled = True
        elif event is GatingEvent.ARM:
            assert self.enabled
            self.armed = True
        elif event is GatingEvent.DISARM:
            self.armed, self.confirmed = False, None
        elif event is GatingEvent.DISABLE:
            self.enabled, self.armed, self.confirmed = False, False, None
        else:
            self.confirmed = None

    @rule(dry_run=st.booleans(), within=st.booleans(), binding=st.sampled_from(BINDINGS))
    def change_config(self, dry_run: bool, within: bool, binding: Binding) -> None:
        self.gating.dry_run = dry_run
        self.gating.rebind(binding, caps_within_pilot=within)
        if self.confirmed != binding:
            self.confirmed = None

    @rule(
        binding=st.sampled_from(BINDINGS),
        signed=st.booleans(),
        life_ns=st.integers(-5, 3 * TOKEN_LIFE_NS),
        absent=st.booleans(),
    )
    def promote(self, binding: Binding, signed: bool, life_ns: int, absent: bool) -> None:
        self.gating.promotion = (
            None
            if absent
            else promotion_for(binding, signature_valid=signed, expires_ns=self.now_ns + life_ns)
        )

    @rule()
    def turn_all_keys(self) -> None:
        """So that the machine spends its time where it matters."""
        for event in (GatingEvent.ENABLE, GatingEvent.ARM):
            self.turn(event)
        self.change_config(False, True, self.gating.binding)
        self.promote(self.gating.binding, True, 3 * TOKEN_LIFE_NS, False)

    @rule(binding=st.sampled_from([None, *BINDINGS]))
    def issue(self, binding: Binding | None) -> None:
        text = f"token-{next(self.names)}"
        binding = binding or self.gating.binding
        self.gating.tokens.issue(text, binding, self.now_ns)
        self.good[text] = (binding, self.now_ns + TOKEN_LIFE_NS)

    @rule(pick=st.integers(0, 20))
    def confirm(self, pick: int) -> None:
        texts = ["", "guess", *self.good]
        text = texts[pick % len(texts)]
        before = self.gating.state
        refusals = self.gating.confirm(text, self.now_ns)
        if refusals:
            assert self.gating.state == before
            if set(refusals) & SPENT:
                self.good.pop(text, None)
            return
        binding, expires_ns = self.good.pop(text)
        assert binding == self.gating.binding
        assert self.now_ns < expires_ns
        self.confirmed = binding

    @rule(step_ns=st.sampled_from([1, TOKEN_LIFE_NS // 2, TOKEN_LIFE_NS]))
    def wait(self, step_ns: int) -> None:
        self.now_ns += step_ns

    @invariant()
    def only_all_five_keys_open_a_live_host(self) -> None:
        promotion = self.gating.promotion
        binding = self.gating.binding
        keys = (
            self.enabled,
            self.armed,
            promotion is not None
            and promotion.signature_valid
            and self.now_ns < promotion.expires_ns
            and (promotion.config_hash, promotion.caps_hash, promotion.account)
            == (binding.config_hash, binding.caps_hash, binding.account),
            self.confirmed == binding,
            self.gating.caps_within_pilot,
            not self.gating.dry_run,
        )
        decision = self.gating.decide(self.now_ns)
        assert decision.allowed == all(keys), (keys, decision)
        assert bool(decision.refusals) == (not decision.allowed)


LiveGate.TestCase.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)
TestLiveGate = LiveGate.TestCase


def opened() -> Gating:
    gating = all_keys_turned()
    assert gating.confirm("drill token", NOW) == ()
    assert gating.decide(NOW).allowed
    return gating


@pytest.mark.parametrize(
    ("absent", "refusal"),
    [
        ("enabled", GatingRefusal.NOT_ENABLED),
        ("armed", GatingRefusal.NOT_ARMED),
        ("promotion", GatingRefusal.PROMOTION_MISSING),
        ("token", GatingRefusal.TOKEN_MISSING),
        ("caps", GatingRefusal.CAPS_ABOVE_PILOT),
        ("dry", GatingRefusal.DRY_RUN),
    ],
)
def test_each_single_absence_refuses(absent: str, refusal: GatingRefusal) -> None:
    gating = opened()
    changes = {
        "enabled": lambda: gating.turn(GatingEvent.DISABLE),
        "armed": lambda: gating.turn(GatingEvent.DISARM),
        "promotion": lambda: setattr(gating, "promotion", None),
        "token": lambda: gating.turn(GatingEvent.END),
        "caps": lambda: setattr(gating, "caps_within_pilot", False),
        "dry": lambda: setattr(gating, "dry_run", True),
    }
    changes[absent]()
    decision = gating.decide(NOW)
    assert not decision.allowed
    assert refusal in decision.refusals


def test_the_default_is_braked_dry_and_above_the_pilots_caps() -> None:
    decision = Gating(mode=Mode.LIVE, binding=BINDINGS[0]).decide(NOW)
    assert set(decision.refusals) == {
        GatingRefusal.NOT_ENABLED,
        GatingRefusal.NOT_ARMED,
        GatingRefusal.DRY_RUN,
        GatingRefusal.PROMOTION_MISSING,
        GatingRefusal.CAPS_ABOVE_PILOT,
        GatingRefusal.TOKEN_MISSING,
    }


def test_steps_up_are_single_and_steps_down_are_free() -> None:
    height = {state: index for index, state in enumerate(GatingState)}
    for (state, event), target in TRANSITIONS.items():
        assert height[target] - height[state] <= 1, (state, event)
    for state in GatingState:
        if state is not GatingState.BRAKED:
            assert TRANSITIONS[state, GatingEvent.DISABLE] is GatingState.BRAKED


def test_an_illegal_step_moves_nothing() -> None:
    gating = Gating(mode=Mode.LIVE, binding=BINDINGS[0])
    assert gating.turn(GatingEvent.ARM) is GatingRefusal.ILLEGAL_STEP
    assert gating.turn(GatingEvent.CONFIRM) is GatingRefusal.ILLEGAL_STEP
    assert gating.state is GatingState.BRAKED


def test_a_token_survives_a_missing_key_but_not_its_own_use() -> None:
    gating = all_keys_turned()
    gating.dry_run = True
    assert GatingRefusal.DRY_RUN in gating.confirm("DRILL-TOKEN", NOW)
    gating.dry_run = False
    assert gating.confirm("drilltoken", NOW) == (), "case and dashes are for the eye"
    gating.turn(GatingEvent.END)
    assert gating.confirm("DRILL-TOKEN", NOW) == (GatingRefusal.TOKEN_REUSED,)


def test_guessing_voids_the_tokens() -> None:
    book = TokenBook()
    book.issue("GOOD", BINDINGS[0], NOW)
    for number in range(WRONG_TOKENS_MAX):
        assert book.redeem(f"X{number}", BINDINGS[0], NOW) is GatingRefusal.TOKEN_WRONG
    assert book.redeem("GOOD", BINDINGS[0], NOW) is GatingRefusal.TOKEN_WRONG


def test_the_book_keeps_digests_only() -> None:
    book = TokenBook()
    digest = book.issue("SECRET-TEXT", BINDINGS[0], NOW)
    assert "SECRET" not in repr(vars(book)).upper().replace(digest.upper(), "")
    assert digest == token_digest("secret text")


@given(st.lists(st.text(max_size=4), min_size=8, max_size=8))
def test_bindings_that_differ_have_digests_that_differ(parts: list[str]) -> None:
    one, two = (
        Binding(config_hash=p[0], caps_hash=p[1], account=p[2], host=p[3])
        for p in (parts[:4], parts[4:])
    )
    assert (one.digest == two.digest) == (one == two)


@pytest.mark.parametrize("mode", [Mode.SIM, Mode.TESTNET])
def test_without_real_money_no_key_is_asked_for_and_that_is_said(mode: Mode) -> None:
    decision = Gating(mode=mode, binding=BINDINGS[0], dry_run=False).decide(NOW)
    assert decision.allowed
    assert "no confirm token needed" in decision.note
    dry = Gating(mode=mode, binding=BINDINGS[0], dry_run=True).decide(NOW)
    assert dry.refusals == (GatingRefusal.DRY_RUN,)


def test_drills_a_to_g_pass() -> None:
    drills = run_gating_drills()
    assert [drill.drill for drill in drills] == list("ABCDEFG")
    assert all(drill.passed for drill in drills), [d.to_plain() for d in drills if not d.passed]


@pytest.mark.parametrize("key", ["caps_within_pilot", "dry_run", "promotion"])
def test_the_drills_catch_a_machine_that_ignores_a_key(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    honest = Gating._refusals
    ignored = {
        "caps_within_pilot": GatingRefusal.CAPS_ABOVE_PILOT,
        "dry_run": GatingRefusal.DRY_RUN,
        "promotion": GatingRefusal.NOT_ARMED,
    }[key]
    monkeypatch.setattr(
        Gating,
        "_refusals",
        lambda self, now_ns: tuple(r for r in honest(self, now_ns) if r is not ignored),
    )
    assert not all(drill.passed for drill in run_gating_drills())
