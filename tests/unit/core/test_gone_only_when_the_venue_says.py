"""Law 9: an order is gone only when the venue says so, and the audit looks both ways."""

from dataclasses import dataclass
from decimal import Decimal

import pytest

from daemon.core.lifecycle import (
    ENDS_ON_OUR_WORD,
    OWN_WORD,
    TABLE,
    TRIGGER_OF_VENUE_STATUS,
    ImpossibleTransition,
    Trigger,
    advance,
)
from daemon.model.effects import SendAmend, SendCancel, SendOrder, SendReplace
from daemon.model.enums import OrderStatus, ReportSource, VenueOrderStatus
from daemon.model.ids import ClientOrderId, StrategyId, VenueOrderId
from daemon.model.inputs import (
    KillLatched,
    NotSent,
    OutcomeUnknown,
    VenueCancelReject,
    VenueReject,
    VenueReport,
)
from daemon.model.intents import AmendIntent, CancelIntent, ReplaceIntent, Wish
from daemon.model.reports import CancelReject, Reject
from daemon.venues.answers import Asked, not_sent
from tests.support.builders import (
    BTC,
    OPERATOR_ACTOR,
    caps,
    command,
    fill,
    report,
    wish,
)
from tests.support.screenplay import QueryOrder, Stage, cancels, only, replies

V = VenueOrderStatus
T = Trigger


# ---------------------------------------------------------------- the table
def test_every_row_that_ends_an_order_on_our_own_word_has_its_reason() -> None:
    ending = {
        (status, trigger)
        for (status, trigger), row in TABLE.items()
        if trigger in OWN_WORD and row.new.is_terminal and not status.is_terminal
    }
    assert ending == set(ENDS_ON_OUR_WORD)
    assert all(len(reason) > 20 for reason in ENDS_ON_OUR_WORD.values())


def test_no_end_changes_into_another_on_our_own_word() -> None:
    moved = [
        pair
        for pair, row in TABLE.items()
        if pair[1] in OWN_WORD and pair[0].is_terminal and row.new is not pair[0]
    ]
    assert moved == []


def test_a_trigger_is_the_venues_word_or_ours_and_nothing_between() -> None:
    venues = {*TRIGGER_OF_VENUE_STATUS.values(), T.OPEN_THERE}
    assert venues | OWN_WORD == set(Trigger)
    assert not venues & OWN_WORD


def test_what_happens_to_a_cancel_a_replace_or_silence_ends_nothing() -> None:
    harmless = {
        *(T.SILENCE, T.UNANSWERED, T.SENT, T.CANCEL_SENT, T.CANCEL_REFUSED),
        *(T.REPLACE_SENT, T.REPLACE_REFUSED),
    }
    assert not [pair for pair in ENDS_ON_OUR_WORD if pair[1] in harmless]


@pytest.mark.parametrize("trigger", [T.NOT_SENT, T.ABSENT])
@pytest.mark.parametrize(("acknowledged", "partly"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("status", list(OrderStatus))
def test_an_order_that_the_venue_has_shown_never_becomes_one_that_never_was(
    status: OrderStatus, trigger: Trigger, acknowledged: bool, partly: bool
) -> None:
    if status is OrderStatus.REJECTED and trigger is T.ABSENT and not partly:
        return  # said twice
    with pytest.raises(ImpossibleTransition):
        advance(status, trigger, VenueOrderId("1") if acknowledged else None, Decimal(partly))


# ---------------------------------------------------------------- refused here, of any kind
@pytest.fixture
def stage() -> Stage:
    return Stage().ready().start()


def resting(stage: Stage, qty: str = "0.1") -> str:
    cid = stage.place(wish(qty=qty)).client_order_id
    stage.tell(VenueReport(report(cid, qty=qty)))
    return cid


def part_filled(stage: Stage) -> str:
    cid = resting(stage)
    one = fill(cid, 1, "0.04")
    stage.tell(VenueReport(report(cid, V.PARTIALLY_FILLED, cum="0.04", fills=(one,))))
    return cid


def replace_of(cid: str, price: str = "98.00", qty: str = "0.1") -> ReplaceIntent:
    return ReplaceIntent(
        strategy_id=StrategyId("test"),
        client_order_id=ClientOrderId(cid),
        qty=Decimal(qty),
        price=Decimal(price),
    )


@dataclass(frozen=True)
class Seen:
    """What must be as it was."""

    status: str
    cum: Decimal
    qty: Decimal
    held: Decimal
    position: str


def seen(stage: Stage, cid: str) -> Seen:
    order = stage.order(cid)
    hold = stage.gate.risk.books.holds[ClientOrderId(cid)]
    return Seen(order.status.value, order.cum_qty, order.qty, hold.leaves, stage.position())


def wishes_of(kind: str, cid: str) -> Wish:
    mine, target = StrategyId("test"), ClientOrderId(cid)
    if kind == "cancel":
        return CancelIntent(strategy_id=mine, client_order_id=target)
    if kind == "amend":
        return AmendIntent(strategy_id=mine, client_order_id=target, qty=Decimal("0.05"))
    return replace_of(cid)


def asked_by(effect: SendReplace | SendCancel | SendAmend) -> Asked:
    if isinstance(effect, SendReplace):
        order = effect.replace.order
        return Asked(
            kind="replace",
            client_order_id=effect.replace.target,
            instrument_id=order.instrument_id,
            new_client_order_id=order.client_order_id,
        )
    sent = effect.cancel if isinstance(effect, SendCancel) else effect.amend
    kind = "cancel" if isinstance(effect, SendCancel) else "amend"
    return Asked(kind=kind, client_order_id=sent.client_order_id, instrument_id=sent.instrument_id)


@pytest.mark.parametrize("scene", [resting, part_filled])
@pytest.mark.parametrize("kind", ["replace", "cancel", "amend"])
def test_a_message_that_never_left_leaves_its_target_exactly_as_it_was(
    stage: Stage, kind: str, scene: object
) -> None:
    cid = scene(stage)  # type: ignore[operator]
    before = seen(stage, cid)
    effects = stage.wishes(wishes_of(kind, cid))
    (sent,) = [one for one in effects if isinstance(one, SendReplace | SendCancel | SendAmend)]
    stage.tell(*not_sent(asked_by(sent), "paused by the venue (weight)"))
    assert seen(stage, cid) == before
    assert stage.incidents() == []
    if isinstance(sent, SendReplace):
        new = sent.replace.order.client_order_id
        assert stage.status_of(new) == "CANCELED"
        assert new not in stage.gate.risk.books.holds
    assert [f["client_order_id"] for f in stage.facts_of("order_resolved")] == (
        [sent.replace.order.client_order_id] if isinstance(sent, SendReplace) else []
    )


def test_a_refused_replace_frees_no_room_under_the_cap() -> None:
    """The finding itself: the strategy buys again what rests already."""
    stage = Stage(capset=caps(position_long_base_max="0.17")).ready().start()
    cid = resting(stage)
    (sent,) = only(SendReplace, stage.wishes(replace_of(cid, qty="0.06")))
    stage.tell(*not_sent(asked_by(sent), "paused by the venue (weight)"))
    assert not only(SendOrder, stage.wishes(wish()))
    assert stage.facts_of("order_denied")[-1]["deny_reason"] == "position_long"
    assert stage.status_of(cid) == "ACCEPTED"


def test_a_cancel_that_never_left_puts_the_replace_back_on_its_way(stage: Stage) -> None:
    cid = resting(stage)
    stage.wishes(replace_of(cid))
    assert stage.status_of(cid) == "PENDING_REPLACE"
    (sent,) = only(SendCancel, stage.wishes(wishes_of("cancel", cid)))
    assert stage.status_of(cid) == "PENDING_CANCEL"
    stage.tell(*not_sent(asked_by(sent), "no budget"))
    assert stage.status_of(cid) == "PENDING_REPLACE"


def test_silence_about_a_replace_is_asked_about_and_believed_when_answered(stage: Stage) -> None:
    cid = resting(stage)
    (sent,) = only(SendReplace, stage.wishes(replace_of(cid)))
    new = sent.replace.order.client_order_id
    asked = stage.tell(
        OutcomeUnknown(ClientOrderId(cid), BTC, "replace", "socket lost"),
        OutcomeUnknown(new, BTC, "place", "socket lost"),
    )
    assert {one.client_order_id for one in only(QueryOrder, asked)} == {cid, new}
    assert (stage.status_of(cid), stage.status_of(new)) == ("PENDING_REPLACE", "UNKNOWN")
    stage.tell(VenueReport(report(cid, source=ReportSource.QUERY)))
    assert stage.status_of(cid) == "ACCEPTED"


def test_the_venues_no_to_a_replace_leaves_the_target_open(stage: Stage) -> None:
    cid = part_filled(stage)
    (sent,) = only(SendReplace, stage.wishes(replace_of(cid)))
    no = CancelReject(
        client_order_id=ClientOrderId(cid), instrument_id=BTC, code=-2011, reason="", ts_recv_ns=0
    )
    new = sent.replace.order.client_order_id
    stage.tell(VenueCancelReject(no))
    stage.tell(
        VenueReject(
            Reject(client_order_id=new, instrument_id=BTC, code=-2022, reason="", ts_recv_ns=0)
        )
    )
    assert (stage.status_of(cid), stage.status_of(new)) == ("PARTIALLY_FILLED", "REJECTED")


def test_a_late_word_about_a_cancel_tells_no_strategy_that_a_filled_order_was_canceled(
    stage: Stage,
) -> None:
    cid = resting(stage)
    stage.tell(VenueReport(report(cid, V.FILLED, cum="0.1", fills=(fill(cid, 1, "0.1"),))))
    assert stage.puppet is not None
    told = len(stage.puppet.reports)
    stage.tell(NotSent(ClientOrderId(cid), BTC, "cancel", "no link"))
    assert len(stage.puppet.reports) == told


def test_after_a_kill_nothing_of_the_turn_leaves_and_what_was_refused_is_ended(
    stage: Stage,
) -> None:
    """The latch came while the turn hung: its wishes meet the closed flag, each by its kind."""
    cid = resting(stage)
    (placed,) = only(SendOrder, stage.wishes(wish(price="97.00")))
    (swapped,) = only(SendReplace, stage.wishes(replace_of(cid)))
    late = placed.order.client_order_id
    stage.tell(NotSent(late, BTC, "place", "the halt flag is closed: kill"))
    stage.tell(*not_sent(asked_by(swapped), "the halt flag is closed: kill"))
    effects = stage.tell(KillLatched(OPERATOR_ACTOR, "drill", stage.now_ns))
    assert cancels(effects) == [cid], "what rests is canceled, what never left is not"
    assert stage.status_of(late) == "CANCELED"
    assert set(stage.gate.risk.books.holds) == {cid}
    assert not only(SendOrder, stage.wishes(wish(price="96.00"))), "no strategy is asked any more"


# ---------------------------------------------------------------- the audit, the other way
def wrongly_ended(stage: Stage, cid: str) -> None:
    """Our books are made to hold an order ended that rests at the venue."""
    stage.tell(VenueReport(report(cid, V.CANCELED)))
    assert stage.status_of(cid) == "CANCELED"
    assert cid not in stage.gate.risk.books.holds


def looked_at_twice(stage: Stage, listed: str) -> None:
    stage.after(4_000)
    stage.tell(command("reconcile"))
    there = (report(listed, source=ReportSource.QUERY),)
    stage.snapshot(reason="operator", open_orders=there)
    stage.after(500)
    stage.snapshot(reason="confirm", open_orders=there)


def test_an_order_open_there_and_ended_here_is_held_again_canceled_and_an_incident() -> None:
    stage = Stage(capset=caps(position_long_base_max="0.15")).ready().start()
    cid = resting(stage)
    wrongly_ended(stage, cid)
    stage.after(4_000)
    stage.tell(command("reconcile"))
    there = (report(cid, source=ReportSource.QUERY),)
    first = stage.snapshot(reason="operator", open_orders=there)
    reply = replies(first)[0]
    assert reply.result["clean"] is False
    assert cid in reply.result["why"]
    assert stage.incidents() == []
    stage.after(500)
    effects = stage.snapshot(reason="confirm", open_orders=there)
    assert stage.incidents() == ["lifecycle"]
    assert cancels(effects) == [cid]
    assert stage.gate.risk.books.holds[ClientOrderId(cid)].leaves == Decimal("0.1")
    assert stage.engine.trading_state.value == "HALTED"
    twin = Stage(capset=caps(position_long_base_max="0.15"))
    for fact in stage.facts:
        twin.engine.apply_fact(fact)
    twin.engine.finish_recovery(stage.now_ns)
    assert twin.gate.risk.books.holds[ClientOrderId(cid)].leaves == Decimal("0.1")
    assert twin.order(cid).status is stage.order(cid).status


def test_a_snapshot_that_is_only_late_is_no_order_that_lives_on(stage: Stage) -> None:
    cid = resting(stage)
    wrongly_ended(stage, cid)
    stage.tell(command("reconcile"))
    stage.snapshot(reason="operator", open_orders=(report(cid, source=ReportSource.QUERY),))
    stage.after(500)
    stage.snapshot(reason="confirm")
    assert stage.incidents() == []
    assert stage.status_of(cid) == "CANCELED"


def test_an_order_that_the_books_have_forgotten_is_adopted_when_it_is_open_there() -> None:
    stage = Stage(orders_retained=1).ready().start()
    cid = resting(stage)
    wrongly_ended(stage, cid)
    stage.after(10)
    other = resting(stage)
    wrongly_ended(stage, other)
    assert cid not in stage.engine._ctx.books.orders
    looked_at_twice(stage, cid)
    assert stage.incidents() == ["unknown_own_order"]
    assert stage.gate.risk.books.holds[ClientOrderId(cid)].leaves == Decimal("0.1")


def test_a_stop_with_an_order_open_there_and_ended_here_cancels_it_before_it_is_done(
    stage: Stage,
) -> None:
    cid = resting(stage)
    wrongly_ended(stage, cid)
    stage.after(4_000)
    there = (report(cid, source=ReportSource.QUERY),)
    stage.tell(command("stop", command_id="c9"))
    assert not replies(stage.snapshot(reason="stop", open_orders=there))
    stage.after(500)
    effects = stage.snapshot(reason="confirm", open_orders=there)
    assert cancels(effects) == [cid]
    stage.tell(VenueReport(report(cid, V.CANCELED)))
    done = [one for _ in range(3) for one in stage.snapshot(reason=stage.asked[-1])]
    assert [one.error_code for one in replies(done)] == [""]


def test_a_stop_that_was_not_seen_empty_says_so(stage: Stage) -> None:
    stage.tell(command("stop", command_id="c9"))
    late = replies(stage.after(9_000))
    assert [(one.command_id, one.error_code) for one in late] == [("c9", "not_empty")]
    assert "not seen empty" in late[0].error_message
