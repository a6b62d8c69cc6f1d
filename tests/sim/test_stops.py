"""What must stop us does, in a live world; what must not be touched is not."""

import pytest

from daemon.model.amounts import NS_PER_S
from daemon.model.copies import replace
from daemon.model.effects import SendOrder
from daemon.model.enums import OrderType, ReportSource, Side, TradingState, VenueOrderStatus
from daemon.model.inputs import JournalFault, KillLatched, VenueReport
from daemon.venues.binance_spot.serving.order_requests import PlaceRequest
from daemon.venues.binance_spot.serving.units import e8_of
from tests.support.builders import OPERATOR_ACTOR, T0, command
from tests.support.sim_chaos import FaultMenu
from tests.support.sim_runner import SYMBOL, SimRun

SEEDS = range(300, 306)
CALM = FaultMenu()


def trading(seed: int, *expected: str, menu: FaultMenu = CALM) -> SimRun:
    """A world that has traded for two seconds."""
    run = SimRun(seed, menu=menu)
    run.checker.expected |= set(expected)
    run.run_until(T0 + 2 * NS_PER_S)
    assert run.checker.orders > 0
    return run


def first_stop(run: SimRun, seconds: int) -> str:
    """The first incident that opens within so long."""
    before = len(run.checker.incidents)
    end_ns = run.now_ns + seconds * NS_PER_S
    while run.now_ns < end_ns and len(run.checker.incidents) == before:
        run.run_until(run.now_ns + NS_PER_S // 10)
    assert len(run.checker.incidents) > before, f"seed {run.seed}: nothing stopped us"
    assert run.engine.trading_state is TradingState.HALTED
    return run.checker.incidents[before]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_testnet_wipe_is_recognised(seed: int) -> None:
    run = trading(seed, "testnet_wipe")
    # Its trade ids begin anew: ours must be far from those the new venue reaches at once.
    run.run_until(T0 + 8 * NS_PER_S)
    run.venue.wipe(run.now_ns)
    run.checker.position_is_reset()
    assert first_stop(run, 10) == "testnet_wipe"


@pytest.mark.parametrize("seed", SEEDS)
def test_an_order_that_is_not_ours_stops_us_and_stays(seed: int) -> None:
    run = trading(seed, "foreign_order")
    # A book that has filled up again: in an empty one our own takes sweep it away (STP) at once.
    run.run_until(T0 + 4 * NS_PER_S)
    theirs = PlaceRequest(
        symbol=SYMBOL,
        side=Side.BUY,
        type=OrderType.LIMIT,
        qty=e8_of("0.001"),
        price=e8_of("50000"),
        client_order_id="web_1",
    )
    placed = run.venue.place("main", theirs, run.now_ns).order
    run.checker.foreign.add(placed.order_id)
    assert first_stop(run, 10) == "foreign_order"
    run.run_until(run.now_ns + 5 * NS_PER_S)
    assert placed.is_open, "it is not ours to touch"


@pytest.mark.parametrize("seed", SEEDS)
def test_money_that_moves_by_itself_stops_us(seed: int) -> None:
    run = trading(seed, "position_mismatch")
    run.venue.accounts["main"].receive("USDT", e8_of("5"))
    assert first_stop(run, 10) == "position_mismatch"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_journal_that_cannot_be_written_stops_us_at_once(seed: int) -> None:
    run = trading(seed)
    run.tell(JournalFault("disk full"))
    assert run.checker.incidents == ["journal_fault"]
    run.run_until(run.now_ns + 3 * NS_PER_S)
    assert not run.venue.accounts["main"].open_orders


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_kill_nothing_leaves_and_the_venue_is_soon_empty_whatever_is_lost(
    seed: int,
) -> None:
    run = trading(seed, menu=FaultMenu(drop_answer=0.3, late_request=0.3, drop_event=0.2))
    run.session_wanted = False
    run.tell(KillLatched(OPERATOR_ACTOR, "drill", run.now_ns))
    turns = len(run.turns)
    run.run_until(run.now_ns + 10 * NS_PER_S)
    after = [effect for _, effects in run.turns[turns:] for effect in effects]
    assert not [effect for effect in after if isinstance(effect, SendOrder)]
    assert not run.venue.accounts["main"].open_orders
    run.tell(command("start", "too soon"))
    assert run.engine.session_id == ""


@pytest.mark.parametrize("seed", SEEDS)
def test_an_order_that_a_false_report_ended_is_found_held_again_and_canceled_by_a_stop(
    seed: int,
) -> None:
    run = trading(seed, "lifecycle")
    mine = run.venue.accounts["main"].open_orders
    while not mine:
        run.run_until(run.now_ns + NS_PER_S // 10)
    lost = next(iter(mine.values()))
    told = replace(run.report_of(lost, ReportSource.STREAM), venue_status=VenueOrderStatus.CANCELED)
    run.session_wanted = False
    run.tell(command("stop", "end"))
    run.tell(VenueReport(told))
    run.run_until(run.now_ns + 8 * NS_PER_S)
    assert not mine, "a stop that is done leaves nothing open"
    assert run.engine.session_id == ""
    run.checker.recovery()
    run.checker.at_rest()
