"""What only a command brings about has its command line, and the other way round; nothing of what
went wrong can be taken out of a journal without a later total saying so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.model.records import EventType
from evidence.report.report import build_report
from tests.support.journal_maker import JournalMaker

COMMAND_FIELDS = ("command_id", "method", "uid", "role", "reason", "outcome", "msg")


class Story(JournalMaker):
    """A journal as today's daemon writes it: with its commands, its boot, its totals."""

    def __init__(self) -> None:
        super().__init__(7)
        self.wrong = [0, 0]

    def boot(self) -> None:
        ended = len(self.records)
        last = [seq for seq, one in enumerate(self.records, 1) if one["event_type"] == "checkpoint"]
        self.run_start(heartbeat_period_ms=1000)
        self.wrong = [0, 0]
        self.write(
            EventType.RECOVERY, records=0, from_seq=ended, checkpoint_seq=last[-1] if last else 0
        )
        self.compare()

    def compare(self, reason: str = "boot") -> None:
        self.write(EventType.RECONCILED, reason=reason, clean=True, differences=[])

    def command(self, method: str, outcome: str = "accepted") -> None:
        self.write(
            EventType.COMMAND, command_id=f"c{len(self.records)}", method=method, uid=0,
            role="operator", reason="", outcome=outcome, msg="",
        )  # fmt: skip

    def lose_the_link(self) -> None:
        self.write(EventType.DISCONNECTED, link="order", msg="drill")
        self.write(EventType.RECONNECT, link="order", outage_ms=91)
        self.wrong[0] += 2

    def short_session(self) -> None:
        self.session_start()
        self.trade(3)
        self.session_stop()

    def beat(self) -> None:
        self.write(
            EventType.HEARTBEAT, trading_state="ACTIVE", gate_state="READY", open_orders=0,
            unknown_orders=0, queue_age_ms=0, period_ms=1000,
            counts=[*self.decided(), self.counts["fills"], self.incidents, *self.wrong],
        )  # fmt: skip


def story() -> Story:
    made = Story()
    made.boot()
    made.command("drill")
    made.lose_the_link()
    made.compare("reconnect")
    made.drill("disconnect")
    made.compare("operator")
    made.drill("reconcile")
    made.command("start")
    made.short_session()
    made.incident()
    made.wrong[1] += 1
    made.write(EventType.TIMEOUT, client_order_id="", op="ping")
    made.wrong[0] += 1
    made.write(EventType.STRATEGY_ERROR, msg="ValueError", strategy_id="quoter")
    made.wrong[1] += 1
    made.beat()
    made.command("incident-resolve")
    made.resolve(f"{made.instance}-1-i1")
    made.command("kill")
    made.write(EventType.KILL, step="gate_closed", by="tester", reason="enough")
    made.write(EventType.KILL, step="verified_empty", by="tester", reason="enough", verified=True)
    made.command("re-arm")
    made.write(EventType.RE_ARM, by="tester", uid=0, reason="again")
    made.write(EventType.CHECKPOINT, state={})
    made.run_stop()
    made.boot()
    made.run_stop()
    return made


def told(made: Story, tmp_path: Path) -> list[str]:
    """What the two folds say of a journal, every hash of which is right."""
    journal, _ = made.save(tmp_path / "state")
    folds = build_report([journal]).journals[0].account.folds
    return sorted({*folds["deeds"].problems.counts, *folds["totals"].problems.counts})  # type: ignore[attr-defined]


def without(*kinds: str, **fields: Any) -> Callable[[Story], None]:
    def lie(made: Story) -> None:
        kept = [
            one
            for one in made.records
            if one["event_type"] not in kinds
            or any(one.get(key) != value for key, value in fields.items())
        ]
        assert len(kept) < len(made.records)
        made.records[:] = kept

    return lie


def unflagged(made: Story) -> None:
    for one in made.records:
        one.update(level="info", is_error=False, is_anomaly=False)


def run_again(made: Story) -> None:
    """A run without an end gets one."""
    stop = next(one for one in made.records if one["event_type"] == "run_stop")
    made.records.insert(made.records.index(stop), dict(stop))


def test_an_honest_journal_has_nothing_against_it(tmp_path: Path) -> None:
    assert told(story(), tmp_path) == []


LIES: dict[str, tuple[Callable[[Story], None], str]] = {
    "no start command": (without("command", method="start"), "uncommanded"),
    "no drill command": (without("command", method="drill"), "uncommanded"),
    "no resolve command": (without("command", method="incident-resolve"), "uncommanded"),
    "no re-arm command": (without("command", method="re-arm"), "uncommanded"),
    "drill without a loss": (without("disconnected"), "drill_false"),
    "drill without a reconnect": (without("reconnect"), "drill_false"),
    "drill without a comparison": (without("reconciled", reason="operator"), "drill_false"),
    "kill without its lines": (without("kill"), "kill_absent"),
    "never compared": (without("reconciled"), "uncompared"),
    "no recovery": (without("recovery"), "uncompared"),
    "never ACTIVE": (without("trading_state"), "never_active"),
    "no timeout": (without("timeout"), "total_differs"),
    "no strategy error": (without("strategy_error"), "total_differs"),
    "no losses": (without("disconnected", "reconnect"), "total_differs"),
    "flags": (unflagged, "flag_differs"),
    "no checkpoint": (without("checkpoint"), "recovery_differs"),
    "no heartbeats": (without("heartbeat"), "recovery_differs"),
    "an end put in": (run_again, "recovery_differs"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_journal_that_was_edited_and_chained_again_is_told(name: str, tmp_path: Path) -> None:
    lie, wanted = LIES[name]
    made = story()
    lie(made)
    assert wanted in told(made, tmp_path)


def test_a_second_drill_that_was_asked_for_has_a_line(tmp_path: Path) -> None:
    made = Story()
    made.boot()
    for _ in range(2):
        made.command("drill")
    made.compare()
    made.drill("reconcile")
    made.run_stop()
    assert told(made, tmp_path) == ["drill_absent"]
    made = Story()
    made.boot()
    made.command("drill", outcome="refused")
    made.command("drill")
    made.compare()
    made.drill("reconcile")
    made.run_stop()
    assert told(made, tmp_path / "other") == []


def test_a_drill_that_was_taken_and_then_refused_has_no_line(tmp_path: Path) -> None:
    """There is no drill of that name, or a session is on: the command's line says so."""
    made = Story()
    made.boot()
    made.command("drill")
    refused = {**made.records[-1], "outcome": "refused", "msg": "bad_params: no drill 'x'"}
    made.write(EventType.COMMAND, **{name: refused[name] for name in COMMAND_FIELDS})
    made.command("drill")
    made.compare()
    made.drill("reconcile")
    made.run_stop()
    assert told(made, tmp_path) == []


def test_of_an_older_daemons_journal_nothing_of_it_is_demanded(tmp_path: Path) -> None:
    made = Story()
    made.run_start()
    made.short_session()
    made.drill("disconnect")
    made.run_stop()
    assert told(made, tmp_path) == []
