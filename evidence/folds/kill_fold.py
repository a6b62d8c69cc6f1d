"""A kill's figures, held against the lines beside them.

Rules of this file:
1. The steps of a kill are of one person and reason: those of its command and of the engine's input.
   The last step repeats the figures of the steps before it.
2. A kill lists, cancels, and lists until nothing of ours is there twice in a row: so its durations
   are in that order, none is longer than the time from its beginning to its line, and it has as
   many rounds as that takes. Where orders were under way it looks again until none can come, and
   may cancel after it was empty.
3. It has canceled at most the orders that ended CANCELED since it was asked for, and at least those
   among them whose own cancel, asked for after it, the venue refused: they were gone by then.
   (Where it says that something failed, an answer may be lost.) It does not wait for the main
   loop, so what it has canceled may stand before its first line.
4. Others' orders that the comparisons before and after it name were open while it looked.
5. It holds of runs whose first line states the heartbeat's period, as in `command_fold`.
"""

from collections import OrderedDict
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from evidence.folds.journal_fold import ComparingFold, Handler
from evidence.read.exact_amounts import NS_PER_MS, NS_PER_S, AmountTextError, amount, amount_or_zero
from evidence.read.journal_lines import (
    CancelRejectLine,
    CancelRequestedLine,
    ClockLine,
    CommandLine,
    JournalLine,
    KillLine,
    OrderStateLine,
    ReArmLine,
    ReconciledLine,
    RunStartLine,
    RunStopLine,
    TimeoutLine,
)
from evidence.read.told_inputs import ToldInputLine

FIRST, LATCHED = "gate_closed", "latched"
LAST = frozenset({"verified_empty", "not_verified"})
IN_ORDER = ("gate_ms", "cancel_ms", "empty_ms", "settled_ms")
REPEATED = ("gate_ms", "latched_ms")
SLACK_MS = 1
SLACK_NS = SLACK_MS * NS_PER_MS
EARLIER_NS = 60 * NS_PER_S
"""How long a kill may be under way before the main loop writes its first line."""
KEPT_MAX = 1_000


class Kill(msgspec.Struct):
    """One kill, as its lines and those around it tell."""

    first: KillLine
    last: KillLine | None = None
    began_ns: int = 0
    """When it was asked for; 0: the engine was never told."""
    offset_ns: int = 0
    round_trip_ns: int = 0
    sampled_ns: int = 0
    """The last sample of the venue's clock before it."""
    stated: dict[str, object] = {}
    """Figures of the steps so far."""
    others: set[str] = set()
    """Others' open orders of the comparison before it."""
    asked: dict[str, int] = {}
    """Orders whose cancel was asked for since, and how often."""
    refused: set[str] = set()
    ended: dict[str, OrderStateLine] = {}
    """Orders that ended CANCELED since, and in `EARLIER_NS` before its first line."""

    has_company: bool = False
    """Whether another process may have canceled at the same time (`kill --direct`)."""

    @property
    def has_failed(self) -> bool:
        """Whether something of it failed, so that it may have done more than it counts."""
        return self.last is None or bool(self.last.msg)

    @property
    def canceled(self) -> int:
        """What it says that it canceled; -1: it does not say."""
        return -1 if self.last is None or self.last.canceled is None else self.last.canceled

    @property
    def gone(self) -> dict[str, OrderStateLine]:
        """Orders that ended CANCELED since it was asked for."""
        since_ns = self.began_ns - SLACK_NS
        return {cid: line for cid, line in self.ended.items() if line.ts_ns >= since_ns}

    @property
    def asked_ns(self) -> int:
        """When it was asked for; where the engine was never told, the earliest that may be."""
        if not self.began_ns:
            return self.first.ts_ns - EARLIER_NS
        return self.began_ns - _ns_of(self.first.gate_ms)

    @property
    def over_ns(self) -> int:
        """When it was answered by its own figures; else its last line, or the latest time."""
        last = self.last
        if last is None:
            return self.first.ts_ns + EARLIER_NS
        longest = max(_ns_of(getattr(last, name)) for name in IN_ORDER)
        return self.asked_ns + longest if self.began_ns and longest else last.ts_ns

    @property
    def least(self) -> int:
        """How many it has canceled at least; a list is canceled by one of its orders."""
        if self.has_failed or self.has_company:
            return 0
        gone = self.gone
        return len({gone[cid].order_list_id or cid for cid in self.refused & gone.keys()})


class KillsFold(ComparingFold):
    """Follows each kill from its first step until the latch is opened or the run ends."""

    name = "kills"

    def __init__(self) -> None:
        super().__init__()
        self.kills: list[Kill] = []
        """For the venue's books: the first `KEPT_MAX`."""
        self._is_due = False
        self._now: Kill | None = None
        self._command: CommandLine | None = None
        self._clock: ClockLine | None = None
        self._others: set[str] = set()
        self._ended: OrderedDict[str, OrderStateLine] = OrderedDict()
        """Orders that ended CANCELED lately."""
        self._by_others_ns = 0
        """When the engine was last told of a stop by another process."""

    def handlers(self) -> Mapping[type[JournalLine], Handler]:
        """Kills, and what a kill does."""
        return {
            RunStartLine: self._run_start,
            RunStopLine: lambda _: self._over(),
            ReArmLine: lambda _: self._over(),
            CommandLine: self._commanded,
            ClockLine: self._sampled,
            ToldInputLine: self._told,
            KillLine: self._kill,
            CancelRequestedLine: self._asked,
            CancelRejectLine: self._refused,
            TimeoutLine: self._unanswered,
            OrderStateLine: self._state,
            ReconciledLine: self._reconciled,
        }

    def _differs(self, record: JournalLine, name: str, stated: object, mine: object) -> None:
        if not self._is_due:
            return
        self.checked += 1
        if stated != mine:
            what = f"{name} {stated} is stated, {mine} by the lines beside it"
            self.note("kill_differs", record, what)

    # ------------------------------------------------------------------ steps
    def _run_start(self, record: RunStartLine) -> None:
        self._is_due = record.heartbeat_period_ms > 0
        self._now = self._command = self._clock = None
        self._others = set()
        self._ended.clear()
        self._by_others_ns = 0

    def _commanded(self, record: CommandLine) -> None:
        if record.method == "kill" and record.outcome == "accepted":
            self._command = record

    def _sampled(self, record: ClockLine) -> None:
        self._clock = record

    def _told(self, record: ToldInputLine) -> None:
        told, kill = record.input, self._now
        if told.type != "KillLatched":
            return
        if not told.actor.pid:  # another process has latched, and cancels by itself
            self._by_others_ns = record.ts_ns
            if kill is not None:
                kill.has_company = True
            return
        if kill is None or kill.began_ns:
            return  # it joined a kill
        kill.began_ns = told.ts_latched_ns
        self._same_person(kill.first, told.actor.name, told.reason)

    def _same_person(self, record: KillLine, by: str | None, reason: str | None) -> None:
        if by:
            self._differs(record, "by", record.by, by)
        if reason:
            self._differs(record, "reason", record.reason, reason)

    def _kill(self, record: KillLine) -> None:
        if record.step == FIRST:
            self._over()
            since_ns = record.ts_ns - EARLIER_NS
            ended = {cid: one for cid, one in self._ended.items() if one.ts_ns >= since_ns}
            company = bool(self._by_others_ns) and self._by_others_ns >= since_ns
            others = set(self._others)
            self._now = Kill(record, others=others, ended=ended, has_company=company)
            if (clock := self._clock) is not None:
                self._now.offset_ns, self._now.sampled_ns = clock.offset_ns, clock.ts_ns
                self._now.round_trip_ns = clock.round_trip_ns
            if len(self.kills) < KEPT_MAX:
                self.kills.append(self._now)
            if self._command is not None and self._command.reason:
                self._same_person(record, self._command.by, self._command.reason)
            self._command = None
        kill = self._now
        if kill is None:
            return
        first = kill.first
        if record.by and record.step in LAST | {LATCHED}:
            self._same_person(record, first.by, first.reason)
        for name in REPEATED:
            figure = getattr(record, name)
            if figure is not None:
                self._differs(record, name, figure, kill.stated.setdefault(name, figure))
        if record.step == LATCHED:
            kill.stated["is_latched"] = True
        elif record.step in LAST:
            kill.last = record
            self._last_step(kill, record)

    def _last_step(self, kill: Kill, record: KillLine) -> None:
        if record.latched is not None:
            self._differs(record, "latched", record.latched, "is_latched" in kill.stated)
        if record.rounds is None:
            return
        canceled = record.canceled or 0
        self._differs(record, "canceled anything", canceled > 0, record.cancel_ms is not None)
        if record.step == "verified_empty":
            least = 3 if canceled else 2
            self._differs(record, "rounds", record.rounds, max(record.rounds, least))
        try:
            figures = [
                (name, amount(figure))
                for name in IN_ORDER
                if (figure := getattr(record, name)) is not None
            ]
        except AmountTextError:
            return
        longest = max((figure for _, figure in figures), default=Decimal(0))
        without = "empty_ms" if record.late_orders else ""  # looked again for those under way
        in_order = [(name, figure) for name, figure in figures if name != without]
        told = [figure for _, figure in in_order]
        if told != sorted(told):
            names = ", ".join(name for name, _ in in_order)
            self._differs(record, names, told, sorted(told))
        if kill.began_ns:
            gate = figures[0][1] if figures and figures[0][0] == "gate_ms" else Decimal(0)
            lasted = Decimal(record.ts_ns - kill.began_ns) / NS_PER_MS + gate + SLACK_MS
            if longest > lasted:
                self._differs(record, "longest figure in ms", longest, f"at most {lasted:.3f}")

    # ------------------------------------------------------------------ what it did
    def _asked(self, record: CancelRequestedLine) -> None:
        if (kill := self._now) is not None:
            cid = record.client_order_id
            kill.asked[cid] = kill.asked.get(cid, 0) + 1
            kill.refused.discard(cid)  # it was not there yet, and this one may do it

    def _refused(self, record: CancelRejectLine) -> None:
        if (kill := self._now) is not None and kill.asked.get(record.client_order_id) == 1:
            kill.refused.add(record.client_order_id)

    def _unanswered(self, record: TimeoutLine) -> None:
        if (kill := self._now) is not None:
            kill.asked[record.client_order_id] = 0  # one that was not answered may have done it

    def _state(self, record: OrderStateLine) -> None:
        if record.new != "CANCELED":
            return
        cid, ended = record.client_order_id, self._ended
        ended[cid] = record
        while record.ts_ns - next(iter(ended.values())).ts_ns > EARLIER_NS:
            ended.popitem(last=False)
        if (kill := self._now) is not None:
            kill.ended[cid] = record

    def _reconciled(self, record: ReconciledLine) -> None:
        if record.failed:
            return
        others = {
            str(one.get("client_order_id"))
            for one in record.differences
            if one.get("kind") == "foreign_order"
        }
        kill = self._now
        if kill is not None and kill.last is not None:
            least, stated = len(kill.others & others), kill.last.others_open
            if stated is not None:
                self._differs(kill.last, "others_open", stated, max(stated, least))
            kill.others = set()
        self._others = others

    def _over(self) -> None:
        """The latch is opened, or the run has ended: nothing more comes of a kill."""
        kill, self._now = self._now, None
        if kill is None or kill.last is None or kill.canceled < 0:
            return
        mine = min(max(kill.canceled, kill.least), len(kill.gone))
        self._differs(kill.last, "canceled", kill.canceled, mine)


def _ns_of(figure: object) -> int:
    """Milliseconds as a line states them, in ns; 0 for what is none."""
    try:
        return int(amount_or_zero(None if figure is None else str(figure)) * NS_PER_MS)
    except AmountTextError:
        return 0
