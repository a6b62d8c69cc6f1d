"""What an honest daemon writes of kills and of names is no problem; what a liar makes of it is."""

import json
from typing import Any

import msgspec

from evidence.folds.kill_fold import KillsFold
from evidence.folds.told_fold import ToldFold
from evidence.judge.ledger_comparison import LedgerComparison
from evidence.judge.venue_kills import match_kills
from evidence.read.journal_reader import DECODE
from evidence.read.told_inputs import ToldInputLine

MS = 1_000_000
T0_NS = 1_700_000_000_000_000_000
REST = {
    "schema": 1, "run_id": "r-1", "mode": "sim", "exchange": "sim", "session_id": "",
    "level": "info", "is_error": False, "is_anomaly": False, "prev": "",
}  # fmt: skip
KILL = {"by": "root", "reason": "stop"}


class Tape:
    """Lines in their order, as a fold takes them."""

    def __init__(self, fold: KillsFold | ToldFold) -> None:
        self.fold = fold
        self._handlers = fold.handlers()
        self._seq = 0
        self.line(0, "run_start", heartbeat_period_ms=1000, instance="abc123", ticks="begin")

    def line(self, at_ms: int, event_type: str, **fields: Any) -> None:
        self._seq += 1
        row = {"seq": self._seq, "ts_ns": T0_NS + at_ms * MS, "event_type": event_type}
        record = DECODE(json.dumps({**REST, **row, **fields}))
        self._handlers[type(record)](record)

    def told(self, at_ms: int, **told: Any) -> None:
        self._seq += 1
        row = {"seq": self._seq, "ts_ns": T0_NS + at_ms * MS, "event_type": "input"}
        record = msgspec.convert({**REST, **row, "input": told}, ToldInputLine)
        self._handlers[ToldInputLine](record)

    def ends(self, at_ms: int, number: int) -> None:
        self.line(
            at_ms, "order_state", client_order_id=f"o{number}", symbol="BTCUSDT", old="ACCEPTED",
            new="CANCELED", why="CANCELED",
        )  # fmt: skip

    def kill(self, at_ms: int, step: str, **fields: Any) -> None:
        self.line(at_ms, "kill", step=step, **KILL, **fields)

    def problems(self) -> dict[str, Any]:
        self.line(100_000, "run_stop", reason="done", exit_code=0)
        found: dict[str, Any] = self.fold.problems.plain()
        return found


def killed(*ended_ms: int, canceled: int, late_ms: int = 0) -> Tape:
    """A kill asked for at 1,000 ms whose first line the main loop writes 40 ms (and more) later."""
    tape = Tape(KillsFold())
    first = [one for one in ended_ms if one < 1_040]
    for number, at_ms in enumerate(first):
        tape.ends(at_ms, number)
    tape.kill(late_ms + 1_040, "gate_closed", gate_ms="0.1")
    root = {"uid": 0, "pid": 5, "role": "operator", "name": "root"}
    latched_ns = T0_NS + 1_000 * MS
    tape.told(
        late_ms + 1_050, type="KillLatched", actor=root, reason="stop", ts_latched_ns=latched_ns
    )
    tape.kill(late_ms + 1_051, "latched", latched_ms="20.0")
    for number, at_ms in enumerate(ended_ms[len(first) :], len(first)):
        tape.ends(at_ms, number)
    tape.kill(
        late_ms + 1_060, "verified_empty", gate_ms="0.1", latched_ms="20.0", cancel_ms="21.0",
        empty_ms="22.0", settled_ms="23.0", canceled=canceled, rounds=3, latched=True,
    )  # fmt: skip
    return tape


def test_what_a_kill_has_canceled_may_stand_before_its_first_line() -> None:
    """The stop has a thread of its own, and the user stream tells of it to the main loop."""
    assert killed(1_020, 1_020, 1_055, canceled=3).problems() == {}


def test_what_was_canceled_before_a_kill_was_asked_for_is_not_its_own() -> None:
    found = killed(900, 1_020, canceled=2).problems()
    assert "canceled 2 is stated, 1" in str(found)


def held_up(*, asked_again: bool) -> Tape:
    """An order on its way at the kill: its cancel is refused, for the venue does not have it yet.

    The kill states that it canceled none; the order comes, and ends.
    """
    tape = Tape(KillsFold())
    tape.kill(1_000, "gate_closed", gate_ms="0.1")
    order = {"client_order_id": "o1", "symbol": "BTCUSDT"}
    tape.line(1_001, "cancel_requested", **order, why="kill")
    tape.line(1_002, "cancel_reject", **order, code=-2011, msg="Unknown order sent.")
    if asked_again:
        tape.line(2_000, "cancel_requested", **order, why="kill")
    tape.ends(2_001, 1)
    tape.kill(
        2_002, "verified_empty", gate_ms="0.1", empty_ms="7.0", canceled=0, rounds=2, latched=False
    )
    return tape


def test_an_order_that_came_after_its_cancel_is_ended_by_the_next_one() -> None:
    assert held_up(asked_again=True).problems() == {}
    assert "canceled 0 is stated, 1" in str(held_up(asked_again=False).problems())


def emptied(late_orders: int, *, settled_ms: str = "68.6") -> Tape:
    """It was empty after 43 ms, and the last cancel came after 67 ms."""
    tape = Tape(KillsFold())
    tape.ends(999, 1)
    tape.kill(1_000, "gate_closed", gate_ms="0.1")
    tape.kill(
        1_070, "verified_empty", gate_ms="0.1", cancel_ms="67.1", empty_ms="43.2", canceled=1,
        settled_ms=settled_ms, rounds=6, latched=False, late_orders=late_orders,
    )  # fmt: skip
    return tape


def test_an_order_under_way_may_be_canceled_after_the_venue_was_empty() -> None:
    assert emptied(1).problems() == {}
    assert "kill_differs" in emptied(0).problems()
    assert "kill_differs" in emptied(1, settled_ms="50.0").problems()


def twice(*, company: bool = False) -> Tape:
    """Two kills within a second: the first states two canceled orders, the second none."""
    tape = Tape(KillsFold())
    tape.line(1, "clock", offset_ns=0, round_trip_ns=MS // 10)
    for number in range(2):
        tape.ends(1_005, number)
    actor = {"uid": 0, "pid": 5, "role": "operator", "name": "root"}
    for at_ms, canceled, ms in ((1_000, 2, "6.0"), (1_020, 0, None)):
        tape.kill(at_ms + 7, "gate_closed", gate_ms="0.1")
        latched_ns = T0_NS + at_ms * MS
        told = {"reason": "stop", "ts_latched_ns": latched_ns}
        tape.told(at_ms + 8, type="KillLatched", actor=actor, **told)
        if company:
            alone = {**actor, "pid": 0, "name": "ann"}
            tape.told(at_ms + 8, type="KillLatched", actor=alone, reason="x", ts_latched_ns=1)
        tape.kill(
            at_ms + 9, "verified_empty", gate_ms="0.1", cancel_ms=ms, empty_ms="7.0",
            settled_ms="7.5", canceled=canceled, rounds=3, latched=False,
        )  # fmt: skip
    return tape


def said(tape: Tape, rows: list[tuple[int, str]], rejects: list[tuple[int, str]]) -> str:
    """What the venue's books make of it; rows are (ms, id of the cancel)."""
    seen = LedgerComparison(is_simulated=True)
    assert isinstance(tape.fold, KillsFold)
    cancels = [{"cancel_id": one, "ts_ns": T0_NS + at_ms * MS} for at_ms, one in rows]
    late = [{"client_order_id": one, "ts_ns": T0_NS + at_ms * MS} for at_ms, one in rejects]
    match_kills(seen, tape.fold, {"cancels": cancels, "rejects": late})
    return str(seen.kills_differ.listed)


A, B, C = (f"stabc123k001aaa0000{n}{'0' * 16}" for n in "123")


def test_the_cancels_of_a_kill_are_not_those_of_the_next_one() -> None:
    assert said(twice(), [(1_004, A), (1_005, B)], []) == "[]"
    hidden = said(twice(), [(1_004, A), (1_005, B), (1_024, C)], [])
    assert "states that it canceled 0, the venue has 3" in hidden


def test_what_kill_direct_has_canceled_at_the_same_time_is_not_the_daemons() -> None:
    rows = [(1_003, C), (1_004, A), (1_005, B)]
    assert "states that it canceled 2, the venue has 3" in said(twice(), rows, [])
    assert said(twice(company=True), rows, []) == "[]"
    assert said(twice(), rows, [(1_005, C)]) == "[]", "its own cancel of that order was refused"


def at_venue(*cancel_ids: str, late_ms: int = 0) -> str:
    """What the venue's list of cancels says of a kill that states two."""
    tape = killed(1_055, 1_055, 1_055, canceled=2, late_ms=late_ms)
    rows = [{"cancel_id": one, "ts_ns": T0_NS + 1_010 * MS} for one in cancel_ids]
    seen = LedgerComparison(is_simulated=True)
    assert isinstance(tape.fold, KillsFold)
    match_kills(seen, tape.fold, {"cancels": rows})
    return str(seen.kills_differ.listed)


def test_the_cancel_of_one_order_of_a_list_stands_at_each_of_them() -> None:
    alone, of_a_list, of_another = (f"stabc123k001aaa0000{n}{'0' * 16}" for n in "123")
    assert at_venue(alone, of_a_list, of_a_list) == "[]"
    assert "states that it canceled 2" in at_venue(alone, of_a_list, of_another)
    assert "states that it canceled 2" in at_venue(of_a_list)


def test_a_kill_of_a_main_loop_that_hangs_is_written_long_after_its_cancels() -> None:
    assert at_venue(A, B, late_ms=9_000) == "[]"
    assert "states that it canceled 2" in at_venue(A, B, C, late_ms=9_000)


def test_who_is_no_caller_of_the_socket_names_himself() -> None:
    """A drill, a SIGTERM, and a stop without the daemon, whose name is that of $USER."""
    tape = Tape(ToldFold())
    asked = {"command_id": "c1", "method": "reconcile", "uid": 0, "by": "root", "reason": "x"}
    tape.line(1, "command", **asked, outcome="accepted")
    for at_ms, command_id, pid, name in ((2, "c1", 7, "root"), (3, "drill-1", 0, "drill")):
        actor = {"uid": 0, "pid": pid, "role": "operator", "name": name}
        told = {"command_id": command_id, "method": "reconcile", "actor": actor, "reason": "x"}
        tape.told(at_ms, type="Command", **told)
    alone = {"uid": 0, "pid": 0, "role": "operator", "name": "ann (sudo from ann)"}
    tape.told(4, type="KillLatched", actor=alone, reason="it hangs", ts_latched_ns=1)
    assert tape.problems() == {}


def test_a_caller_of_the_socket_has_one_name_in_a_run() -> None:
    tape = Tape(ToldFold())
    asked = {"method": "caps", "uid": 0, "reason": "x", "outcome": "accepted"}
    tape.line(1, "command", command_id="c1", by="root", **asked)
    tape.line(2, "command", command_id="c2", by="eve", **asked)
    assert "user id 0 is eve here, and root before" in str(tape.problems())
