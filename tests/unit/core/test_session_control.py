"""How sessions end, what stops them, and who may begin again."""

from decimal import Decimal

import pytest

from control.status_snapshot import cap_changes
from daemon.core.engine_config import Storm
from daemon.model.amounts import NS_PER_S
from daemon.model.effects import ArmTimer, CloseHalt, ExitDaemon, OpenHalt, SendOrder
from daemon.model.enums import Link, Side, TradingState, VenueOrderStatus
from daemon.model.inputs import (
    ClockSampled,
    JournalFault,
    JournalMended,
    KillLatched,
    LinkDown,
    LinkUp,
    LoopLagged,
    PublicTrade,
    RateLimited,
    VenueReject,
    VenueReport,
)
from daemon.model.intents import TimerIntent
from daemon.model.market import TradeTick
from daemon.model.reject_kind import RejectKind
from daemon.model.reports import Reject
from riskcaps.words.capset import SYMBOL_CAPS
from tests.support.builders import BTC, OPERATOR_ACTOR, caps, command, fill, report, wish
from tests.support.screenplay import Stage, cancels, only, replies

V = VenueOrderStatus


@pytest.fixture
def stage() -> Stage:
    return Stage().ready().start()


def resting(stage: Stage) -> str:
    cid = stage.place(wish()).client_order_id
    stage.tell(VenueReport(report(cid)))
    return cid


def settle(stage: Stage, cid: str) -> None:
    stage.tell(VenueReport(report(cid, V.CANCELED)))
    stage.answer_all()


# ---------------------------------------------------------------- kill and re-arm
def test_a_kill_latches_halts_and_cancels_at_once(stage: Stage) -> None:
    cid = resting(stage)
    effects = stage.tell(KillLatched(OPERATOR_ACTOR, "smoke", stage.now_ns))
    assert cancels(effects) == [cid]
    assert only(CloseHalt, effects)
    assert stage.engine.trading_state is TradingState.HALTED
    assert stage.engine.status(stage.now_ns)["latched"] is True
    settle(stage, cid)
    assert stage.engine.session_id == ""
    assert stage.facts_of("session_stop")[0]["reason"] == "kill: smoke"


def test_nothing_leaves_after_a_kill_and_no_start_before_the_re_arm(stage: Stage) -> None:
    cid = resting(stage)
    stage.tell(KillLatched(OPERATOR_ACTOR, "smoke", stage.now_ns))
    settle(stage, cid)
    refused = replies(stage.tell(command("start")))[0]
    assert (refused.error_code, "re-arm" in refused.error_message) == ("latched", True)
    assert replies(stage.tell(command("re-arm")))[0].error_code == "bad_params"
    effects = stage.tell(command("re-arm", "looked at it"))
    assert replies(effects)[0].error_code == ""
    assert only(OpenHalt, effects)
    assert stage.engine.trading_state is TradingState.HALTED
    assert replies(stage.tell(command("start")))[0].error_code == ""


def test_a_venue_that_is_away_is_named_where_waiting_would_not_help(stage: Stage) -> None:
    resting(stage)
    stage.tell(LinkDown(Link.ORDER, "reset"), LinkDown(Link.REST, "refused"))
    stage.tell(KillLatched(OPERATOR_ACTOR, "smoke", stage.now_ns))
    for asked in (command("start"), command("re-arm", "why not")):
        said = replies(stage.tell(asked))[0]
        assert said.error_code == "stopping"
        assert "the venue cannot be reached (the rest and order links are down)" in (
            said.error_message
        )
        assert "wait" not in said.error_message
    stage.tell(LinkUp(Link.REST), LinkUp(Link.ORDER))
    assert "wait for it" in replies(stage.tell(command("start")))[0].error_message


def test_a_latch_beside_a_venue_that_is_away_says_both() -> None:
    stage = Stage()
    stage.tell(KillLatched(OPERATOR_ACTOR, "smoke", stage.now_ns))
    stage.after(stage.engine._ctx.config.stop_deadline_ns // 1_000_000 + 1_000)
    stage.tell(LinkDown(Link.REST, "refused"))
    start = replies(stage.tell(command("start")))[0]
    assert "re-arm first" in start.error_message
    assert "the venue cannot be reached either: the rest, market and order" in start.error_message
    re_arm = replies(stage.tell(command("re-arm", "why not")))[0]
    assert (re_arm.error_code, "cannot be reached" in re_arm.error_message) == ("not_ready", True)


def test_the_reason_of_a_second_kill_is_kept_and_recovered(stage: Stage) -> None:
    for reason in ("smoke", "fire", "smoke"):
        stage.tell(KillLatched(OPERATOR_ACTOR, reason, stage.now_ns))
    assert stage.engine.status(0)["latch_reason"] == "kill: smoke; then kill: fire"
    assert [line["why"] for line in stage.facts_of("trading_state") if line["latched"]] == [
        "kill: smoke",
        "kill: fire",
        "kill: smoke",
    ]


def test_a_kill_without_a_session_latches_too() -> None:
    stage = Stage().ready()
    stage.tell(KillLatched(OPERATOR_ACTOR, "smoke", stage.now_ns))
    assert [f["latched"] for f in stage.facts_of("trading_state")] == [True]
    stage.snapshot(reason="kill")
    assert replies(stage.tell(command("start")))[0].error_code == "latched"


def test_the_latch_is_a_fact_that_recovery_reads(stage: Stage) -> None:
    stage.tell(KillLatched(OPERATOR_ACTOR, "smoke", stage.now_ns))
    twin = Stage()
    for fact in stage.facts:
        twin.engine.apply_fact(fact)
    assert twin.engine.status(0)["latched"] is True
    assert twin.engine.status(0)["latch_reason"] == "kill: smoke"


# ---------------------------------------------------------------- stop, shutdown
def test_a_stop_waits_for_the_venue_and_says_so_when_it_cannot(stage: Stage) -> None:
    resting(stage)
    stage.tell(command("stop", command_id="c7"))
    late = replies(stage.after(9000))[0]
    assert (late.command_id, late.error_code) == ("c7", "not_empty")
    assert len(late.result["orders_left"]) == 1


def test_no_start_while_a_stop_is_under_way_and_no_second_session(stage: Stage) -> None:
    resting(stage)
    assert replies(stage.tell(command("start")))[0].error_code == "already_active"
    stage.tell(command("stop"))
    assert replies(stage.tell(command("start")))[0].error_code == "stopping"


def test_shutdown_cancels_and_then_ends_the_daemon(stage: Stage) -> None:
    cid = resting(stage)
    assert cancels(stage.tell(command("shutdown"))) == [cid]
    stage.tell(VenueReport(report(cid, V.CANCELED)))
    effects = stage.snapshot(reason="shutdown")
    assert [(e.exit_code, e.reason) for e in only(ExitDaemon, effects)] == [(0, "shutdown")]


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_stop_that_a_shutdown_overtakes_is_told_what_is_left(
    stage: Stage, *, is_listed: bool
) -> None:
    cid = resting(stage)
    stage.tell(command("stop", command_id="c7"))
    stage.tell(command("shutdown", command_id="c8"))
    if not is_listed:  # gone by the books, and the venue was not seen empty of it
        stage.tell(VenueReport(report(cid, V.CANCELED)))
    effects = stage.after(11_000)
    (told,) = [one for one in replies(effects) if one.command_id == "c7"]
    assert told.error_code == "not_empty"
    assert told.result["orders_left"] == ([cid] if is_listed else [])
    assert [one.exit_code for one in only(ExitDaemon, effects)] == [int(is_listed)]


def test_an_unknown_command_is_refused_by_name(stage: Stage) -> None:
    reply = replies(stage.tell(command("launch")))[0]
    assert (reply.error_code, "launch" in reply.error_message) == ("unknown_method", True)


# ---------------------------------------------------------------- strategies
def test_a_strategy_that_raises_is_dropped_and_halts_the_session(stage: Stage) -> None:
    cid = resting(stage)
    assert stage.puppet is not None
    stage.puppet.raises = ZeroDivisionError("oops")
    effects = stage.wishes()
    assert stage.facts_of("strategy_error")[0]["msg"] == "ZeroDivisionError: oops"
    assert stage.facts_of("strategy_error")[0]["where"] == "on_market"
    trace = stage.facts_of("strategy_error")[0]["trace"]
    assert trace[-1].startswith("screenplay.py:")
    assert not any("/" in frame for frame in trace)
    assert stage.incidents() == ["strategy_error"]
    assert cancels(effects) == [cid]
    assert stage.engine.trading_state is TradingState.HALTED


def test_a_wish_in_anothers_name_is_an_error_of_the_strategy(stage: Stage) -> None:
    stage.wishes(wish(strategy="operator"))
    assert "in the name of" in stage.facts_of("strategy_error")[0]["msg"]


def test_a_wish_on_a_foreign_instrument_is_an_error_of_the_strategy(stage: Stage) -> None:
    stage.wishes(wish(iid="DOGEUSDT@sim"))
    assert stage.incidents() == ["strategy_error"]


def test_a_flood_of_wishes_is_an_error_of_the_strategy(stage: Stage) -> None:
    stage.wishes(*[wish(price=f"{90 + n / 100:.2f}") for n in range(60)])
    assert "60 wishes in one call" in stage.facts_of("strategy_error")[0]["msg"]
    assert stage.facts_of("order_approved") == []


def test_a_denial_is_recorded_with_its_reason_and_told(stage: Stage) -> None:
    stage.wishes(wish(qty="50"))
    denied = stage.facts_of("order_denied")[0]
    assert denied["deny_reason"] == "order_qty"
    assert stage.puppet is not None
    assert stage.puppet.denials == ["order_qty"]


def test_a_strategys_timer_comes_back_by_its_name(stage: Stage) -> None:
    wished = TimerIntent(strategy_id=wish().strategy_id, name="x", at_ns=stage.now_ns + NS_PER_S)
    assert only(ArmTimer, stage.wishes(wished))
    stage.after(900)
    assert stage.puppet is not None
    assert stage.puppet.timers == []
    stage.after(200)
    assert stage.puppet.timers == ["x"]


def test_wishes_pass_once_the_pump_has_opened_the_flag() -> None:
    stage = Stage().ready()
    assert stage.puppet is None
    stage.tell(command("start"))
    assert stage.puppet is None, "the flag opens after the turn; strategies begin in the next"
    stage.after(0)
    assert stage.puppet is not None
    assert stage.puppet.calls == ["on_start"]


# ---------------------------------------------------------------- tripwires
def no(stage: Stage) -> None:
    cid = stage.place(wish(price=f"{98 + stage.seq / 100:.2f}")).client_order_id
    stage.tell(
        VenueReject(
            Reject(client_order_id=cid, instrument_id=BTC, code=-2010, reason="no", ts_recv_ns=0)
        )
    )


def test_rejects_are_weather_and_then_a_storm() -> None:
    stage = Stage(reject_storm=Storm(count=4, window_ns=10 * NS_PER_S)).ready().start()
    for _ in range(3):
        no(stage)
    stage.after(11_000)
    stage.quote()
    for _ in range(3):
        no(stage)
    assert stage.incidents() == []
    no(stage)
    assert stage.incidents() == ["reject_storm"]


def test_rate_limits_storm() -> None:
    stage = Stage(rate_limit_storm=Storm(count=2, window_ns=NS_PER_S)).ready().start()
    limit = RateLimited(429, -1003, "weight", stage.now_ns, "Too many requests")
    stage.tell(limit)
    assert stage.incidents() == []
    stage.tell(limit)
    assert stage.incidents() == ["rate_limit_storm"]
    assert len(stage.facts_of("rate_limit")) == 2


def test_reconnects_storm() -> None:
    stage = Stage(reconnect_storm=Storm(count=3, window_ns=60 * NS_PER_S)).ready()
    for _ in range(3):
        stage.tell(LinkDown(Link.MARKET, "reset"), LinkUp(Link.MARKET))
    assert stage.incidents() == ["reconnect_storm"]


def test_one_skewed_clock_sample_is_weather_three_are_not() -> None:
    stage = Stage(clock_skew_storm=Storm(count=3, window_ns=60 * NS_PER_S)).ready()
    stage.tell(*[ClockSampled(5 * NS_PER_S, 1)] * 2)
    assert stage.incidents() == []
    stage.tell(ClockSampled(5 * NS_PER_S, 1))
    assert stage.incidents() == ["clock_skew"]


def test_loop_lag_again_and_again_halts() -> None:
    stage = Stage(loop_lag_storm=Storm(count=2, window_ns=60 * NS_PER_S)).ready().start()
    stage.tell(LoopLagged(NS_PER_S, NS_PER_S), LoopLagged(NS_PER_S, NS_PER_S))
    assert stage.incidents() == ["loop_lag"]
    assert stage.engine.trading_state is TradingState.HALTED


def test_a_silent_feed_with_orders_open_halts_after_its_confirmation() -> None:
    stage = Stage(stale_feed_ns=2 * NS_PER_S, stale_feed_confirm_ns=NS_PER_S).ready().start()
    stage.after(8000)
    assert stage.incidents() == [], "without orders silence is harmless"
    stage.quote()
    resting(stage)
    stage.after(2500)
    assert stage.incidents() == []
    stage.after(1000)
    assert stage.incidents() == ["stale_feed"]


def test_trades_do_not_make_a_quote_young() -> None:
    stage = Stage(stale_feed_ns=2 * NS_PER_S, stale_feed_confirm_ns=NS_PER_S).ready().start()
    stage.quote()
    resting(stage)
    for _ in range(8):
        stage.after(500)
        trade = TradeTick(BTC, 1, Side.BUY, Decimal(100), Decimal(1), 0, stage.now_ns)
        stage.tell(PublicTrade(trade))
    row = stage.engine.status(stage.now_ns)["market"]["BTCUSDT"]
    assert (row["age_ms"], row["last_age_ms"], row["last"]) == (4000, 0, "100")
    assert stage.incidents() == ["stale_feed"]


@pytest.mark.parametrize("reference", SYMBOL_CAPS["collar_reference"].choices)
def test_every_reference_of_the_collar_is_fed_by_what_the_venue_tells(reference: str) -> None:
    stage = Stage(capset=caps(collar_reference=reference)).ready().start()
    stage.quote()
    stage.tell(PublicTrade(TradeTick(BTC, 1, Side.BUY, Decimal(100), Decimal(1), 0, stage.now_ns)))
    assert stage.place(wish()).client_order_id


def test_no_journal_no_orders_and_no_start(stage: Stage) -> None:
    cid = resting(stage)
    effects = stage.tell(JournalFault("disk full"))
    assert cancels(effects) == [cid]
    assert stage.incidents() == ["journal_fault"]
    settle(stage, cid)
    assert replies(stage.tell(command("start")))[0].error_code == "journal_fault"
    stage.tell(JournalMended())
    assert stage.engine.status(stage.now_ns)["trading_state"] == "HALTED"
    refused = replies(stage.tell(command("start")))[0].error_code
    assert refused == "incident_open", "space alone resumes nothing: a human explains first"


def test_an_incident_is_opened_once_until_it_is_resolved(stage: Stage) -> None:
    stage.tell(JournalFault("disk full"), JournalFault("disk full"))
    assert stage.incidents() == ["journal_fault"]


def test_resolving_needs_a_cause_and_an_open_incident(stage: Stage) -> None:
    stage.tell(JournalFault("disk full"))
    name = stage.facts_of("incident_opened")[0]["incident_id"]
    assert replies(stage.tell(command("incident-resolve", incident_id=name)))[0].error_code == (
        "bad_params"
    )
    assert replies(stage.tell(command("incident-resolve", "why", incident_id="i0")))[
        0
    ].error_code == ("not_found")
    stage.tell(command("incident-note", incident_id=name, text="paged at 03:10"))
    done = replies(stage.tell(command("incident-resolve", "disk was full", incident_id=name)))
    assert done[0].error_code == ""
    shown = replies(stage.tell(command("incidents")))[0].result["incidents"][0]
    assert (shown["resolved_by"], shown["notes"]) == ("op", ["paged at 03:10"])


# ---------------------------------------------------------------- caps and flattening
def test_caps_tighten_and_never_loosen(stage: Stage) -> None:
    key = "symbols.BTCUSDT.order_qty_base_max"
    done = replies(stage.tell(command("caps-tighten", "calm", changes={key: "0.05"})))[0]
    assert done.error_code == ""
    stage.wishes(wish(qty="0.1"))
    assert stage.facts_of("order_denied")[0]["deny_reason"] == "order_qty"
    changed = stage.facts_of("caps_changed")[0]
    assert changed["new_hash"] == done.result["caps_hash"]
    assert cap_changes(changed) == [f"BTCUSDT.order_qty_base_max {changed['were'][key]}→0.05"]
    refused = replies(stage.tell(command("caps-tighten", "more", changes={key: "2"})))[0]
    assert refused.error_code == "loosening_refused"
    for changes in ({"foo": 1}, {key: "x"}, {"symbols.NOSUCH.sides": []}, {"foo": 1, key: "2"}):
        refused = replies(stage.tell(command("caps-tighten", "more", changes=changes)))[0]
        assert refused.error_code == "bad_params"


def test_what_decisions_stand_on_is_written_once_before_them_and_again_when_it_changes() -> None:
    stage = Stage().ready().start()

    def told() -> list[str]:
        """Every decision that is preceded by the line of its context."""
        stated: dict[str, str] = {}
        for fact in stage.facts:
            if fact["event_type"] == "risk_context":
                stated[fact["context"]] = fact["caps_hash"]
            elif fact["event_type"] in {"order_approved", "order_denied"}:
                assert fact["decision"]["context"] in stated, "a decision names what nobody stated"
        return list(stated.values())

    stage.wishes(wish(qty="0.1"))
    stage.wishes(wish(qty="0.11"), wish(qty="100"))
    assert len(stage.facts_of("risk_context")) == len(told()) == 1
    key = "symbols.BTCUSDT.order_qty_base_max"
    stage.tell(command("caps-tighten", "calm", changes={key: "0.05"}))
    stage.wishes(wish(qty="0.1"), wish(qty="0.04"))
    assert len(stage.facts_of("risk_context")) == len(set(told())) == 2


def test_a_sessions_decisions_can_be_decided_again_from_its_own_lines(stage: Stage) -> None:
    stage.wishes(wish(qty="100"), wish(qty="101"))
    stage.tell(command("stop", "enough"))
    stage.answer_all()
    stage.quote()
    stage.start()
    stage.wishes(wish(qty="100"))
    first, second = stage.facts_of("risk_context")
    assert first["context"] == second["context"]
    assert first["session_id"] != second["session_id"]


def test_flatten_is_off_unless_the_config_allows_it(stage: Stage) -> None:
    assert replies(stage.tell(command("flatten", "out")))[0].error_code == "not_allowed"


def test_flatten_cancels_first_then_reduces_through_the_caps_then_stops() -> None:
    stage = Stage(flatten_allowed=True).ready().start()
    bought = stage.place(wish(price="100.10")).client_order_id
    stage.tell(
        VenueReport(
            report(bought, V.FILLED, cum="0.1", price="100.10", fills=(fill(bought, 1, "0.1"),))
        )
    )
    cid = resting(stage)
    effects = stage.tell(command("flatten", "out", command_id="c5"))
    assert cancels(effects) == [cid]
    assert only(SendOrder, effects) == []
    effects = stage.tell(VenueReport(report(cid, V.CANCELED)))
    sent = only(SendOrder, effects)[0].order
    assert (sent.side.value, sent.qty, sent.reduce_only) == ("SELL", Decimal("0.1"), True)
    sold = sent.client_order_id
    one = fill(sold, 2, "0.1", side=sent.side, venue_id="9")
    stage.tell(
        VenueReport(report(sold, V.FILLED, cum="0.1", fills=(one,), side=sent.side, venue_id="9"))
    )
    assert stage.position() == "0"
    assert stage.engine.trading_state is TradingState.HALTED
    done = replies(stage.snapshot(reason="flatten"))[0]
    assert (done.command_id, done.error_code) == ("c5", "")


def test_a_kill_during_a_flatten_halts_at_once() -> None:
    stage = Stage(flatten_allowed=True).ready().start()
    resting(stage)
    stage.tell(command("flatten", "out"))
    assert stage.engine.trading_state is TradingState.REDUCING
    stage.tell(KillLatched(OPERATOR_ACTOR, "now", stage.now_ns))
    assert stage.engine.trading_state is TradingState.HALTED


def test_a_loss_beyond_its_cap_is_an_incident() -> None:
    capset = caps(drawdown_numeraire_max="1", loss_confirm_ms=100)
    stage = Stage(capset=capset).ready().start()
    cid = stage.place(wish(qty="1", price="100.10")).client_order_id
    one = fill(cid, 1, "1", price="100.10")
    stage.tell(VenueReport(report(cid, V.FILLED, cum="1", qty="1", fills=(one,))))
    for _ in range(4):
        stage.after(200)
        stage.quote("96.00", "96.10")
    assert "drawdown" in stage.incidents()
    assert stage.engine.trading_state is TradingState.HALTED


def test_answers_of_the_business_are_no_storm_and_no_streak() -> None:
    """Forty post-only refusals in a row (field report): the market moved, nothing is broken."""
    stage = Stage(
        reject_storm=Storm(count=4, window_ns=100 * NS_PER_S),
        capset=caps(venue_reject_streak_max=4, duplicate_window_ms=1),
    )
    stage.ready().start()
    for number in range(40):
        cid = stage.place(wish(price=f"99.{number:02d}")).client_order_id
        text = "Order would immediately match and take."
        stage.tell(
            VenueReject(
                Reject(
                    client_order_id=cid,
                    instrument_id=BTC,
                    code=-2010,
                    reason=text,
                    ts_recv_ns=0,
                    kind=RejectKind.BUSINESS,
                )
            )
        )
        stage.after(10)
    assert stage.incidents() == []
    assert stage.engine.trading_state is TradingState.ACTIVE
    assert len(stage.facts_of("order_reject")) == 40
    twin = Stage(capset=caps(venue_reject_streak_max=4))
    for fact in stage.facts:
        twin.engine.apply_fact(fact)
    assert twin.gate.risk.behaviour.reject_streak == 0


@pytest.mark.parametrize(("gap_ms", "storms"), [(1, False), (300, False), (4_000, True)])
def test_a_filter_that_moved_is_no_storm_and_one_that_we_never_learn_is(
    gap_ms: int, storms: bool
) -> None:
    """What was on its way when the venue raised a filter is one refusal, however many they are."""
    stage = Stage(reject_storm=Storm(count=6, window_ns=60 * NS_PER_S)).ready().start()
    told = "Filter failure: NOTIONAL"
    for number in range(10):
        cid = stage.place(wish(price=f"99.{number:02d}")).client_order_id
        refusal = Reject(
            client_order_id=cid, instrument_id=BTC, code=-1013, reason=told, ts_recv_ns=0,
            kind=RejectKind.FILTER,
        )  # fmt: skip
        stage.tell(VenueReject(refusal))
        stage.after(gap_ms)
        stage.quote()
        if stage.incidents():
            break
    assert (stage.incidents() == ["reject_storm"]) is storms
    assert len(stage.facts_of("order_reject")) == (6 if storms else 10)
