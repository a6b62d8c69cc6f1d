"""Holds lines against the input that made them, and inputs against the lines that they must make.

Rules of this file:
1. A turn's lines have the time of its input. A link's line, a timeout, a clock's sample, a refused
   cancel or amend, a rate limit, a trade and a comparison have an input of that moment that says
   the same; and such an input has its line.
2. A comparison states the balances of its snapshot and each open order there that is not ours. The
   trades that it has recovered are the lines between the snapshot and it. An order that was proven
   absent was so by a snapshot or an answer; one that was never sent, by the link's word, or by the
   bot's request of whose list it was a part.
3. An input of a command has its command line. One that was accepted has its input, unless the run
   ended then. A user id has one name in a run among those who asked over the socket: a drill, and
   a stop without the daemon, name themselves.
4. It holds of runs whose first line says which inputs are lines (`ticks`); older daemons' do not.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from evidence.folds.journal_fold import ComparingFold, Handler, Recent
from evidence.folds.order_fold import ABSENT_OUTCOMES
from evidence.folds.state_fold import BRINGS_ABOUT, SETTLES_NS
from evidence.read.bot_lines import BotInputLine
from evidence.read.exact_amounts import AmountTextError, amount, amount_or_zero
from evidence.read.journal_lines import (
    AmendRejectLine,
    CancelRejectLine,
    ClockLine,
    CommandLine,
    ConnectedLine,
    DisconnectedLine,
    FillLine,
    JournalFaultLine,
    JournalLine,
    OrderApprovedLine,
    OrderResolvedLine,
    RateLimitLine,
    ReconciledLine,
    ReconnectLine,
    RunStartLine,
    RunStopLine,
    TimeoutLine,
)
from evidence.read.order_ids import is_of
from evidence.read.told_inputs import ToldFill, ToldInput, ToldInputLine, ToldSnapshot

Key = tuple[object, ...]
NONE = ("0", "0")
"""What we have of an asset that neither a snapshot nor a comparison names."""
FROM_COMMANDS = frozenset(BRINGS_ABOUT) | {"stop", "shutdown"}
"""Commands that the engine is told of when they were accepted."""
BY_SIGNAL = "signal-"
"""A shutdown of this id came by SIGTERM or its like; nobody asked for it over the socket."""


class ToldFold(ComparingFold):
    """Inputs and lines of the same moment."""

    name = "told"

    def __init__(self) -> None:
        super().__init__()
        self._is_due = False
        self._instance = ""
        self._at_ns = 0
        self._waiting: dict[Key, list[JournalLine]] = {}
        """Inputs of this moment whose line has not come."""
        self._trades: dict[str, ToldFill] = {}
        """Trades that the inputs of this moment tell of."""
        self._proofs: set[tuple[str, str]] = set()
        """Orders that an input of this moment proves absent or never sent."""
        self._booked = Recent()
        self._orders = Recent()
        self._snapshot: ToldSnapshot | None = None
        self._recovered = 0
        self._balances: dict[str, tuple[str, ...]] = {}
        """As the run's comparisons have stated them."""
        self._commands: dict[str, CommandLine] = {}
        """Accepted, and the engine has not been told."""
        self._names: dict[int, str] = {}

    def handlers(self) -> Mapping[type[JournalLine], Handler]:
        """Inputs, and the lines that they make."""
        return {
            RunStartLine: self._run_start,
            RunStopLine: self._run_stop,
            ToldInputLine: self._told,
            BotInputLine: self._asked,
            ConnectedLine: lambda line: self._made(line, "LinkUp", line.link),
            ReconnectLine: lambda line: self._made(line, "LinkUp", line.link),
            DisconnectedLine: lambda line: self._made(line, "LinkDown", line.link, line.msg),
            TimeoutLine: lambda line: self._made(
                line, "OutcomeUnknown", line.client_order_id, line.request, line.msg),
            ClockLine: lambda line: self._made(
                line, "ClockSampled", line.offset_ns, line.round_trip_ns),
            RateLimitLine: lambda line: self._made(
                line, "RateLimited", line.status, line.code, line.scope, line.msg),
            JournalFaultLine: lambda line: self._made(line, "JournalFault", line.msg),
            CancelRejectLine: lambda line: self._made(
                line, "VenueCancelReject", line.client_order_id, line.code, line.msg),
            AmendRejectLine: self._amend_reject,
            OrderApprovedLine: self._approved,
            OrderResolvedLine: self._resolved,
            FillLine: self._fill,
            ReconciledLine: self._reconciled,
            CommandLine: self._command,
        }  # fmt: skip

    # ------------------------------------------------------------------ moments
    def _run_start(self, record: RunStartLine) -> None:
        """The last turn of a run that crashed may lack its last lines."""
        self._is_due = bool(record.ticks)
        self._instance = record.instance
        self._waiting.clear()
        self._trades.clear()
        self._proofs.clear()
        self._snapshot, self._balances = None, {}
        self._commands.clear()
        self._names.clear()

    def _run_stop(self, record: RunStopLine) -> None:
        self._moment(record)
        for asked in self._commands.values() if self._is_due else ():
            if record.ts_ns - asked.ts_ns > SETTLES_NS:
                what = f"command {asked.method} {asked.command_id} was accepted, and the engine "
                self.note("input_absent", asked, what + "was never told of it")

    def _moment(self, record: JournalLine) -> None:
        """Report what the moment before has left open, when this line is of a later one."""
        if record.ts_ns == self._at_ns:
            return
        self._at_ns = record.ts_ns
        for (kind, *told), inputs in self._waiting.items():
            for one in inputs:
                self.note("line_absent", one, f"{kind} {_words(told)} was told, and has no line")
        if self._snapshot is None:  # one that was asked for before a link was lost is dropped
            self._all_booked(record)
        self._waiting.clear()
        self._trades.clear()
        self._proofs.clear()
        self._snapshot, self._recovered = None, 0

    def _all_booked(self, record: JournalLine) -> None:
        """Every trade of an order of the lines before has a line, now or earlier."""
        for fill in self._trades.values():
            if fill.client_order_id in self._orders and self._booked.is_new(fill.exec_id):
                what = f"trade {fill.exec_id} of {fill.client_order_id} was told, and has no line"
                self.note("line_absent", record, what)

    # ------------------------------------------------------------------ inputs
    def _told(self, record: ToldInputLine) -> None:
        if not self._is_due:
            return
        self._moment(record)
        told = record.input
        if told.report is not None:
            self._trades |= {fill.exec_id: fill for fill in told.report.fills}
        elif told.snapshot is not None:
            self._snapshot, self._recovered = told.snapshot, 0
            self._trades |= {fill.exec_id: fill for fill in _recovered(told.snapshot)}
        elif told.absent is not None:
            self._proofs.add(("absent", told.absent.client_order_id))
        elif told.type == "NotSent":
            self._proofs.add(("not_sent", told.client_order_id))
        elif told.type == "Command":
            self._commanded(record)
        elif told.type == "KillLatched":
            self._told_name(record)
        elif (key := self._key_of(told)) is not None:
            self._waiting.setdefault(key, []).append(record)

    def _asked(self, record: BotInputLine) -> None:
        """A list of which one order is refused does not leave, and no order of it is sent."""
        self._moment(record)
        self._proofs.add(("not_sent", ""))

    def _key_of(self, told: ToldInput) -> Key | None:
        """What its line must state; None: it may have none."""
        refusal, reason = told.reject, told.reason
        if refusal is not None:
            if refusal.client_order_id not in self._orders:
                return None  # of an order that the daemon may have forgotten
            return (told.type, refusal.client_order_id, refusal.code, refusal.reason)
        stated: dict[str, Key] = {
            "LinkUp": (told.link,),
            "LinkDown": (told.link, reason),
            "OutcomeUnknown": (told.client_order_id, told.request, reason),
            "ClockSampled": (told.offset_ns, told.round_trip_ns),
            "RateLimited": (told.status, told.code, told.scope, reason),
            "JournalFault": (reason,),
        }
        return (told.type, *stated[told.type]) if told.type in stated else None

    # ------------------------------------------------------------------ lines
    def _made(self, record: JournalLine, kind: str, *stated: object) -> None:
        """A line must have an input of its moment that says the same."""
        if not self._is_due:
            return
        self._moment(record)
        self.checked += 1
        key = (kind, *stated)
        inputs = self._waiting.get(key)
        if inputs:
            inputs.pop()
            if not inputs:
                del self._waiting[key]
            return
        others = [told for told in self._waiting if told[0] == kind]
        if others:
            told = others[0]
            what = f"{_words(stated)} is stated, {_words(told[1:])} was told"
            self.note("input_differs", record, what)
            del self._waiting[told]
        else:
            tag = record.__struct_config__.tag
            what = f"{tag} {_words(stated)}: no {kind} of its moment stands before it"
            self.note("input_absent", record, what)

    def _approved(self, record: OrderApprovedLine) -> None:
        self._orders.is_new(record.client_order_id)

    def _resolved(self, record: OrderResolvedLine) -> None:
        if not self._is_due or record.outcome not in ABSENT_OUTCOMES:
            return
        self._moment(record)
        self.checked += 1
        proofs = {(record.outcome, record.client_order_id), (record.outcome, "")} & self._proofs
        if not proofs and (record.outcome == "not_sent" or self._snapshot is None):
            what = f"{record.client_order_id} {record.outcome}: nothing of its moment proves it"
            self.note("input_absent", record, what)

    def _amend_reject(self, record: AmendRejectLine) -> None:
        if record.by == "venue":
            told = (record.client_order_id, record.code, record.msg)
            self._made(record, "VenueAmendReject", *told)

    def _fill(self, record: FillLine) -> None:
        if not self._is_due:
            return
        self._moment(record)
        self.checked += 1
        self._booked.is_new(record.exec_id)
        self._recovered += 1
        told = self._trades.pop(record.exec_id, None)
        if told is None:
            what = f"fill {record.exec_id}: nothing of its moment tells of that trade"
            self.note("input_absent", record, what)
            return
        is_recovered = told.recovered or self._snapshot is not None
        for name, theirs, mine in (
            ("side", record.side, told.side),
            ("quantity", *_amounts(record.qty, told.qty)),
            ("price", *_amounts(record.price, told.price)),
            ("fee", *_amounts(record.fee, told.fee)),
            ("recovered", record.recovered, is_recovered),
        ):
            if theirs != mine:
                what = f"fill {record.exec_id}: {name} {theirs} is stated, {mine} was told"
                self.note("input_differs", record, what)

    # ------------------------------------------------------------------ comparisons
    def _reconciled(self, record: ReconciledLine) -> None:
        if not self._is_due or record.failed:
            return
        self._moment(record)
        self.checked += 1
        snapshot, recovered = self._snapshot, self._recovered
        if snapshot is None:
            self.note("input_absent", record, "a comparison, and no snapshot of its moment")
            return
        self._snapshot = None
        if str(record.recovered_fills) != str(recovered) and not snapshot.lost:
            what = f"{record.recovered_fills} recovered trades are stated, {recovered} lines of "
            self.note("input_differs", record, what + "trades are between the snapshot and it")
        if record.reason != snapshot.reason:
            what = f"reason {record.reason} is stated, {snapshot.reason} was told"
            self.note("input_differs", record, what)
        self._compare_balances(record, snapshot)
        stated = {
            str(one.get("client_order_id"))
            for one in record.differences
            if one.get("kind") == "foreign_order"
        }
        listed = {one.client_order_id for one in snapshot.open_orders}
        told = {cid for cid in listed if not is_of(self._instance, cid)}
        if stated != told:
            what = f"open orders of others: {sorted(stated)} are stated, {sorted(told)} were told"
            self.note("input_differs", record, what)

    def _compare_balances(self, record: ReconciledLine, snapshot: ToldSnapshot) -> None:
        """The line states what has changed since the run's line before it."""
        for asset, pair in record.balances.items():
            self._balances[asset] = tuple(map(str, pair)) if isinstance(pair, list) else NONE
        told = {one.asset: (one.free, one.locked) for one in snapshot.balances}
        for asset in sorted(self._balances.keys() | told.keys()):
            theirs, mine = self._balances.get(asset, NONE), told.get(asset, NONE)
            if _pair(theirs) != _pair(mine):
                what = f"{asset} {' and '.join(theirs)} is stated, {' and '.join(mine)} was told"
                self.note("input_differs", record, what)

    # ------------------------------------------------------------------ commands
    def _told_name(self, record: ToldInputLine) -> None:
        actor = record.input.actor
        if actor.pid > 0:
            self._named(record, actor.uid, actor.name)

    def _named(self, record: JournalLine, uid: int | None, name: str | None) -> None:
        if uid is None or uid < 0 or not name:
            return
        known = self._names.setdefault(uid, name)
        if known != name:
            what = f"user id {uid} is {name} here, and {known} before"
            self.note("name_differs", record, what)
            self._names[uid] = name  # told once

    def _command(self, record: CommandLine) -> None:
        if not self._is_due:
            return
        self._named(record, record.uid, record.by)
        if record.method not in FROM_COMMANDS:
            return
        if record.outcome == "accepted":
            self._commands[record.command_id] = record
        else:
            self._commands.pop(record.command_id, None)

    def _commanded(self, record: ToldInputLine) -> None:
        told = record.input
        if told.method == "shutdown" and told.command_id.startswith(BY_SIGNAL):
            self._commands.pop(told.command_id, None)
            return
        self._told_name(record)
        if told.method not in FROM_COMMANDS:
            return
        self.checked += 1
        asked = self._commands.pop(told.command_id, None)
        if asked is None:
            what = f"command {told.method} {told.command_id} was told, and has no line before it"
            self.note("line_absent", record, what)
            return
        stated = (asked.method, asked.uid, asked.by or "", asked.reason or "")
        mine = (told.method, told.actor.uid, told.actor.name, told.reason)
        if stated != mine:
            what = f"command {_words(stated)} is stated, {_words(mine)} was told"
            self.note("input_differs", asked, what)


def _recovered(snapshot: ToldSnapshot) -> Iterator[ToldFill]:
    """Every trade that a snapshot tells of."""
    yield from snapshot.fills
    for report in (*snapshot.open_orders, *snapshot.statuses, *snapshot.lost):
        yield from report.fills


def _words(values: Any) -> str:
    return " ".join(str(value) for value in values if value != "")


def _amounts(stated: str | None, told: str) -> tuple[object, object]:
    """Two amounts as numbers; as text where one is none."""
    try:
        return amount_or_zero(stated), amount_or_zero(told)
    except AmountTextError:
        return stated, told


def _pair(texts: tuple[str, ...]) -> object:
    try:
        return [amount(text) for text in texts]
    except AmountTextError:
        return texts
