"""Plays a course: starts, disturbs, waits, has each trial judged. Deeds and waiting only.

Rules of this file:
1. Every wait has a deadline; every trial begins in calm water, with a bot that trades.
2. What a trial has spoiled is repaired before the next: faults end, money comes back, a bot that
   ended or fell silent is started again, and the report says so.
"""

import re
import signal
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from daemon.demo.processes import DemoError
from daemon.model.amounts import decimal_of
from daemon.shell.process.clock import Clock
from daemon.trials.bot import BotError, BotProcess
from daemon.trials.judging.course import NEEDS_DISK, NEEDS_GATE, Course, Step, Trial
from daemon.trials.judging.judges import SHOWN, judge
from daemon.trials.judging.observation import (
    S_NS,
    Observation,
    WireRequest,
    cancels_of,
    fills_of,
    orders_of,
    prices_of,
    requests_of,
)
from daemon.trials.judging.pace import OrderPace, pace_of
from daemon.trials.judging.trial_report import TrialRow
from daemon.trials.judging.trial_verdict import TrialOutcome, Verdict, not_applicable, not_shown
from daemon.trials.sandbox import fill_disk, free_disk
from daemon.trials.trial_gateway import TrialGateway
from daemon.trials.trial_venue import TrialVenue

SILENT_TRIALS_MAX = 3
"""After so many in which the bot did not trade, the rest is not waited for."""
_LOOK_S = 0.2
_LOG_BYTES = 200_000
_FIRST_TIME = 3
"""So many times its patience a run waits for the first order: programs take time to start."""
_PROD_AFTER_S = 1.0
_FILL = Step(0.0, "fill", {})
_PRODS_S = (0.5, 2.5, 4.5)
_FILLS_A_SECOND_MAX = 10.0
_STREAM_JUDGES = {
    "user-stream": "user data stream",
    "market-stream": "market stream",
    "depth-gap": "stream of differences",
}
_STREAM_S = 10
"""So long after its start a bot may take to open a stream."""
_SIGNALS = {
    "stop-bot": signal.SIGSTOP,
    "continue-bot": signal.SIGCONT,
    "end-bot": signal.SIGTERM,
}


class BotEndedError(RuntimeError):
    """The bot ended before it had traded at all; there is nothing to judge."""


class _Deeds(msgspec.Struct):
    """When what was done in the trial that runs."""

    first: dict[str, int] = msgspec.field(default_factory=dict)
    last: dict[str, int] = msgspec.field(default_factory=dict)
    ended_ns: int | None = None


class CourseRun:
    """One bot on one course."""

    def __init__(
        self,
        course: Course,
        venue: TrialVenue,
        bot: BotProcess,
        clock: Clock,
        *,
        gateway: TrialGateway | None = None,
        own_disk: bool,
        patience_s: float,
        belief: "Belief | None",
        say: Callable[[str], None],
        pause: Callable[[float], None],
    ) -> None:
        """`pause` waits so many seconds, and raises where the course is to end."""
        self._course, self._venue, self._bot, self._clock = course, venue, bot, clock
        self._gateway = gateway
        # A bot behind the gate is judged by what passed on its own side of it.
        self._ledger = venue.ledger if gateway is None else gateway.ledger
        self._own_disk, self._patience_s, self._say = own_disk, patience_s, say
        self._belief = belief
        self._pause = pause
        self._pace = OrderPace()
        self._silent = 0
        self._started_ns = 0
        self._taken: list[tuple[str, str]] = []
        self._deeds = _Deeds()
        self._notes: list[str] = []
        self._seen: Observation | None = None
        """What the trial that runs is judged by, once it is over."""
        self._ended_by_us = ""
        """Why the bot does not run, when it was us who ended it."""
        self.has_traded = False

    def run(self) -> list[TrialRow]:
        """Every trial of the course, in order.

        Raises:
            BotEndedError: the bot ended before it had placed its first order.
            DemoError: the venue is gone.
        """
        results: list[TrialRow] = []
        self._start_bot()
        for number, trial in enumerate(self._course.trials, 1):
            begun_ns = self._clock.monotonic_ns()
            self._say(f"[{number:2}/{len(self._course.trials)}] {trial.name}: {trial.does}")
            self._notes, self._seen = [], None
            verdict = self._verdict_of(trial)
            seconds = (self._clock.monotonic_ns() - begun_ns) / S_NS
            results.append(TrialRow(trial, verdict, seconds, tuple(self._notes), self._seen))
            self._say(f"        {verdict.outcome} ({seconds:.0f} s): {verdict.because}")
        return results

    # ------------------------------------------------------------------ one trial

    def _verdict_of(self, trial: Trial) -> Verdict:
        reason = self._why_not_applicable(trial)
        if reason:
            return not_applicable(reason)
        if self._silent >= SILENT_TRIALS_MAX:
            return not_shown(f"the bot did not trade in the last {self._silent} trials")
        if self._gateway is not None:
            self._notes += [f"before this trial {one}" for one in self._gateway.put_right()]
        if not self._wait_for_trading(trial):
            self._silent += 1
            return not_shown(f"the bot placed no order within {self._patience_s:g} s")
        self._silent = 0
        stream = _STREAM_JUDGES.get(trial.judge)
        if stream and not self._listens_to(stream):
            return not_shown(f"the bot has no {stream}")
        self._seen = observation = self._play(trial)
        if trial.judge == "calm":
            self._pace = pace_of(observation)
        verdict = judge(trial.judge, observation, self._pace, trial.params)
        self._repair(trial, verdict)
        return verdict

    def _why_not_applicable(self, trial: Trial) -> str:
        needs_gate = trial.through_gate or any(step.do in NEEDS_GATE for step in trial.steps)
        if needs_gate and self._gateway is None:
            return "a trial of the gate: this run meets the venue directly"
        if not self._own_disk and any(step.do in NEEDS_DISK for step in trial.steps):
            return "this machine gives the bot no disk of its own that could be filled"
        return ""

    def _wait_for_trading(self, trial: Trial) -> bool:
        """Until an order of the bot is accepted; a silent bot is started again, once."""
        if not self._bot.is_running:
            self._start_again(self._ended_by_us or "it had ended")
            self._ended_by_us = ""
        if self._trades_within(trial):
            return True
        if self._bot.is_running and not self.has_traded:
            return False
        if self._gateway is not None:
            # What it knows of the venue's filters, say, may be older than the fault's end.
            self._calm()
            self._gateway.restart()
            self._notes.append("the daemon was started anew before this trial")
        self._start_again("it did not trade any more")
        return self._trades_within(trial)

    def _trades_within(self, trial: Trial) -> bool:
        begin_ns = self._clock.now_ns()
        patience_s = self._patience_s * (1 if self.has_traded else _FIRST_TIME)
        until_ns = begin_ns + int(patience_s * S_NS)
        prodded = False
        while self._clock.now_ns() < until_ns:
            ledger = self._ledger(begin_ns)
            orders = orders_of(ledger)
            there = [one for one in orders if one.ours and one.ended_ns is None]
            if any(one.ours and one.ts_ns >= begin_ns for one in orders) and (
                there or trial.needs != "resting"
            ):
                self.has_traded = True
                return True
            if not self._bot.is_running:
                if not self.has_traded:
                    raise BotEndedError(f"the bot ended with exit code {self._bot.exit_code}")
                return False
            waited_s = (self._clock.now_ns() - begin_ns) / S_NS
            if there and not prodded and waited_s > _PROD_AFTER_S:
                prodded = True
                self._venue.strike("fill_resting", {"symbol": there[0].symbol})
            self._pause(_LOOK_S)
        return False

    def _play(self, trial: Trial) -> Observation:
        self._deeds = _Deeds()
        before = prices_of(self._ledger(self._clock.now_ns()))
        streams = self._streams()
        start_ns = self._clock.now_ns()
        for at_s, step in self._timetable(trial):
            self._wait_until(start_ns + int(at_s * S_NS))
            self._deeds.first.setdefault(step.do, self._clock.now_ns())
            self._do(step)
            self._deeds.last[step.do] = self._clock.now_ns()
        asked = {"end-bot", "kill-bot"} & self._deeds.first.keys()
        self._wait_until(
            start_ns + int(trial.watch_s * S_NS), until_ended=bool(asked - {"kill-bot"})
        )
        ledger = self._ledger(start_ns - S_NS // 10)
        ended = not self._bot.is_running
        return Observation(
            start_ns=start_ns,
            end_ns=self._clock.now_ns(),
            requests=[*streams["rows"], *requests_of(ledger)],
            orders=orders_of(ledger),
            fills=[one for one in fills_of(ledger) if one.ts_ns >= start_ns],
            cancels=[one for one in cancels_of(ledger) if one.ts_ns >= start_ns],
            marks=self._deeds.first,
            last_marks=self._deeds.last,
            prices_before=before,
            prices_after=prices_of(ledger),
            has_user_stream=bool(streams["user data stream"]),
            has_market_stream=bool(streams["market stream"]),
            believed=self._belief.told() if self._belief and not ended else None,
            positions=self._belief.positions(self._ledger()) if self._belief else (),
            exit_code=self._bot.exit_code if ended else None,
            ended_ns=self._deeds.ended_ns if ended else None,
            denials=self._gateway.denials(start_ns) if self._gateway else (),
            gate_stops=self._gateway.stops(start_ns) if self._gateway else (),
            venue_requests=requests_of({"wire": ledger.get("venue_wire", ())}),
        )

    def _timetable(self, trial: Trial) -> list[tuple[float, Step]]:
        """Steps with their times; `fill-often` becomes many."""
        rows: list[tuple[float, Step]] = []
        for step in trial.steps:
            if step.do != "fill-often":
                rows.append((step.at_s, step))
                continue
            times = float(step.arguments.get("times_pace", 2))
            rate = min(_FILLS_A_SECOND_MAX, times * max(1, self._pace.peak_per_s))
            count = int(float(step.arguments.get("for_s", 6)) * rate)
            rows += [(step.at_s + n / rate, _FILL) for n in range(count)]
        if trial.params.get("recover_s"):
            # A bot whose orders rest in peace has no reason to show that it is well again.
            lifted_s = max((at_s for at_s, _ in rows), default=0.0)
            rows += [(lifted_s + after_s, _FILL) for after_s in _PRODS_S]
        return sorted(rows, key=lambda row: row[0])

    def _wait_until(self, until_ns: int, *, until_ended: bool = False) -> None:
        """Until then; sooner when the bot has ended and nothing else is to be seen."""
        while (left_ns := until_ns - self._clock.now_ns()) > 0:
            if not self._bot.is_running and self._deeds.ended_ns is None:
                self._deeds.ended_ns = self._clock.now_ns()
            if until_ended and self._deeds.ended_ns is not None:
                return
            self._pause(min(left_ns / S_NS, _LOOK_S / 4))
        if not self._bot.is_running and self._deeds.ended_ns is None:
            self._deeds.ended_ns = self._clock.now_ns()

    # ------------------------------------------------------------------ deeds

    def _do(self, step: Step) -> None:
        arguments = dict(step.arguments)
        if step.do in _SIGNALS:
            self._bot.signal(_SIGNALS[step.do])
        elif step.do == "kill-bot":
            self._bot.kill()
        elif step.do == "start-bot":
            self._start_bot()
        elif step.do == "fill-disk":
            fill_disk(self._bot.work)
        elif step.do == "free-disk":
            free_disk(self._bot.work)
        elif step.do == "restart-venue":
            self._venue.stop()
            self._pause(float(arguments.get("down_s", 3)))
            self._venue.start()
        elif step.do == "deny" and self._gateway is not None:
            self._gateway.deny(arguments["caps"])
        elif step.do == "kill-switch" and self._gateway is not None:
            self._gateway.kill()
        else:
            self._do_at_venue(step.do, arguments)

    def _do_at_venue(self, deed: str, arguments: dict[str, Any]) -> None:
        if deed == "strike":
            self._venue.strike(str(arguments.pop("kind")), arguments)
        elif deed == "faults":
            self._venue.post("faults", arguments["rules"])
        elif deed == "fill" and not self._bot.is_running:
            return  # what a dead bot has left stays to be seen
        elif deed == "fill":
            for symbol in sorted({one["symbol"] for one in self._open_orders()}):
                self._venue.strike("fill_resting", {"symbol": symbol, **arguments})
        elif deed == "withdraw":
            self._withdraw()
        else:
            self._calm()

    def _open_orders(self) -> list[Mapping[str, Any]]:
        rows = self._ledger(self._clock.now_ns())["open_orders"]
        return [row for row in rows if row["ours"]]

    def _withdraw(self) -> None:
        for asset, row in self._ledger(self._clock.now_ns())["balances"].items():
            if float(row["free"]) > 0:
                try:
                    self._venue.post("deposit", {"asset": asset, "amount": f"-{row['free']}"})
                except DemoError:
                    continue  # an order has taken it meanwhile
                self._taken.append((asset, str(row["free"])))

    def _calm(self) -> None:
        self._venue.post("calm", {})
        if self._gateway is not None:
            self._gateway.calm()
        for asset, amount in self._taken:
            self._venue.post("deposit", {"asset": asset, "amount": amount})
        self._taken = []

    # ------------------------------------------------------------------ the bot

    def _start_bot(self) -> None:
        self._started_ns = self._clock.now_ns()
        self._bot.start()

    def _start_again(self, why: str) -> None:
        self._bot.end()
        self._calm()
        self._cancel_leftovers()
        self._notes.append(f"the bot was started anew before this trial: {why}")
        self._start_bot()

    def _repair(self, trial: Trial, verdict: Verdict) -> None:
        self._bot.signal(signal.SIGCONT)
        free_disk(self._bot.work)
        self._calm()
        if trial.restart_after:
            self._bot.end()
            self._ended_by_us = "the trial before had ended it"
        elif verdict.outcome in SHOWN and verdict.outcome is not TrialOutcome.PASS:
            self._bot.end()
            self._ended_by_us = "the trial before was a finding"

    def _cancel_leftovers(self) -> None:
        """What a bot has left open is no burden of the next trial."""
        for symbol in sorted({one["symbol"] for one in self._open_orders()}):
            self._venue.strike("cancel_resting", {"symbol": symbol})

    def _listens_to(self, stream: str) -> bool:
        until_ns = self._started_ns + _STREAM_S * S_NS
        while not self._streams()[stream]:
            if self._clock.now_ns() > until_ns:
                return False
            self._pause(_LOOK_S)
        return True

    def _streams(self) -> dict[str, Any]:
        """What the bot listens to now, and the rows that say so."""
        rows = [
            row
            for row in requests_of(self._ledger(self._started_ns))
            if not row.is_request or row.subscribes_user
        ]
        names = " ".join(row.streams for row in rows)
        return {
            "rows": [row for row in rows if row.streams],
            "user data stream": _is_open(rows, "WS")
            and any(row.subscribes_user and row.status == 200 for row in rows),
            "market stream": _is_open(rows, "STREAM"),
            "stream of differences": "@depth" in names,
        }


class Belief:
    """What the bot says of its position: the last match of a pattern in its log."""

    def __init__(self, pattern: str, log: Path, asset: str) -> None:
        """`pattern` has one group, the position in the base asset `asset`.

        Raises:
            BotError: no regular expression with a group.
        """
        try:
            self._pattern = re.compile(pattern)
        except re.error as error:
            raise BotError(f"--position {pattern!r}: {error}") from error
        if self._pattern.groups != 1:
            raise BotError(f"--position {pattern!r}: put the position into one group, ( and )")
        self._log, self._asset = log, asset

    def told(self) -> Decimal | None:
        """The last position of the log; None when it tells none."""
        text = self._log.read_bytes()[-_LOG_BYTES:].decode(errors="replace")
        found = self._pattern.findall(text)
        return decimal_of(found[-1]) if found else None

    def positions(self, ledger: Mapping[str, Any]) -> tuple[Decimal, ...]:
        """The balance of the base asset, and what the bot has traded net, fees not counted."""
        row = ledger["balances"].get(self._asset, {"free": "0", "locked": "0"})
        net = sum(
            (
                one.qty if one.side == "BUY" else -one.qty
                for one in fills_of(ledger)
                if one.ours and one.symbol.startswith(self._asset)
            ),
            Decimal(0),
        )
        return decimal_of(row["free"]) + decimal_of(row["locked"]), net


def _is_open(rows: list[WireRequest], kind: str) -> bool:
    opened = sum(1 for row in rows if row.name == f"{kind} open" and row.status == 200)
    return opened > sum(1 for row in rows if row.name == f"{kind} close")


def last_words(log: Path, lines: int = 3) -> str:
    """The end of a log, as one line."""
    try:
        text = log.read_bytes()[-4_000:].decode(errors="replace").strip().splitlines()
    except OSError:
        return "nothing"
    return " | ".join(text[-lines:]) if text else "nothing"
