"""Operator's commands, one function each; every refusal has a code and a sentence.

`status` is answered by the shell from `Engine.status`; `kill` latches in the control thread first,
and is told here too so that it is never lost.
"""

from collections.abc import Callable, Mapping
from typing import Any

from daemon.core.books import order_fields
from daemon.core.bots.money import allotments_short
from daemon.core.cancels import Cancels
from daemon.core.command_errors import CommandError, CommandErrorCode
from daemon.core.reconciliation_rounds import ReconciliationRounds
from daemon.core.session_control import SessionControl
from daemon.core.turn_context import TurnContext
from daemon.core.venue_bans import refuse_unready
from daemon.model import journal_records as journal
from daemon.model.amounts import plain
from daemon.model.effects import Reply
from daemon.model.ids import symbol_of
from daemon.model.inputs import Command, KillLatched
from daemon.model.plain_values import to_plain
from daemon.model.records import EventType
from riskcaps.words.capset import CapConfigError

Answer = Mapping[str, Any] | None
"""None: the reply comes later (a stop answers when the venue is empty)."""


class Commands:
    """Dispatches commands to the parts of the engine."""

    def __init__(
        self,
        ctx: TurnContext,
        session_control: SessionControl,
        cancels: Cancels,
        rounds: ReconciliationRounds,
    ) -> None:
        """Share the desk."""
        self._incidents_of = session_control.incidents
        self._ctx = ctx
        self._session_control = session_control
        self._cancels = cancels
        self._rounds = rounds
        self._methods: dict[str, Callable[[Command], Answer]] = {
            "start": self._start,
            "stop": self._stop,
            "shutdown": self._shutdown,
            "kill": self._kill,
            "cancel-all": self._cancel_all,
            "re-arm": self._re_arm,
            "reconcile": self._reconcile,
            "orders": self._orders,
            "positions": self._positions,
            "incidents": self._incidents,
            "incident-list": self._incidents,
            "incident-resolve": self._resolve,
            "incident-note": self._note,
            "explain": self._explain,
            "re-enable": self._re_enable,
            "caps-tighten": self._tighten,
            "flatten": self._flatten,
        }

    def on_command(self, command: Command) -> None:
        """Obey or refuse; a `Reply` follows, now or when the work is done."""
        method = self._methods.get(command.method)
        effects = self._ctx.effects
        try:
            if method is None:
                raise CommandError(
                    CommandErrorCode.UNKNOWN_METHOD, f"no such command: {command.method!r}"
                )
            answer = method(command)
        except CommandError as error:
            effects.append(
                Reply(
                    command_id=command.command_id,
                    error_code=error.code.value,
                    error_message=error.message,
                )
            )
            return
        if answer is not None:
            effects.append(Reply(command_id=command.command_id, result=answer))

    # ------------------------------------------------------------------ sessions
    def _start(self, command: Command) -> Answer:
        if problem := self._ctx.interceptor.risk.clock_problem():
            raise CommandError(CommandErrorCode.NOT_READY, problem)
        if shorts := allotments_short(self._ctx):
            mend = "lower their capital in the configuration, or fund the account"
            raise CommandError(CommandErrorCode.NOT_READY, f"{'; '.join(shorts)}: {mend}")
        session_id = self._session_control.start(_by(command), command.reason)
        return {"session_id": session_id}

    def _stop(self, command: Command) -> Answer:
        if not self._ctx.ledger.session.session_id:
            raise CommandError(CommandErrorCode.NO_SESSION, "no session is on")
        self._session_control.end(
            "stop", command.reason, _by(command), command_id=command.command_id
        )
        return None

    def _shutdown(self, command: Command) -> Answer:
        self._session_control.end("shutdown", command.reason, _by(command), exit_after=True)
        return {"ending": True}

    def _kill(self, command: Command) -> Answer:
        latched = KillLatched(command.actor, command.reason or "kill", self._ctx.now_ns)
        self._session_control.on_kill(latched)
        return {"latched": True}

    def _cancel_all(self, command: Command) -> Answer:
        symbol = self._symbol_of(command)
        count = self._cancels.want_all(f"cancel-all by {_by(command)}", symbol)
        note = self._ctx.ledger.pause.text(self._ctx.now_ns)
        if not note and count and not self._ctx.gate.can_send:
            note = f"{self._ctx.gate.down_words}: the cancels leave when the venue can be reached"
        return {"orders": count, "note": note} if note else {"orders": count}

    def _symbol_of(self, command: Command) -> str:
        """The symbol that a command is restricted to, or empty."""
        symbol = str(command.params.get("symbol") or "")
        if symbol and symbol not in self._ctx.config.symbols:
            raise CommandError(
                CommandErrorCode.BAD_PARAMS,
                f"{symbol!r} is not one of ours: {', '.join(self._ctx.config.symbols)}",
            )
        return symbol

    def _re_arm(self, command: Command) -> Answer:
        self._session_control.re_arm(_by(command), command.actor.uid, command.reason)
        return {"latched": False}

    def _re_enable(self, command: Command) -> Answer:
        ctx = self._ctx
        refuse_unready(ctx)
        by = _by(command)
        ctx.ledger.re_enable(by, ctx.now_ns)
        why = command.reason or "re-enabled"
        fields = journal.ExplanationRecord(about_seq=0, why=why, by=by, re_enabled=True)
        ctx.record(EventType.EXPLANATION, fields)
        return {"re_enabled": True}

    # ------------------------------------------------------------------ looking
    def _reconcile(self, command: Command) -> Answer:
        gate = self._ctx.gate
        if paused := self._ctx.ledger.pause.text(self._ctx.now_ns):
            raise CommandError(CommandErrorCode.NOT_READY, paused)
        if not gate.all_up:
            why = "; ".join(one.text for one in gate.obstacles())
            raise CommandError(CommandErrorCode.NOT_READY, f"the gate is {gate.state}: {why}")
        self._rounds.reply_when_done(command.command_id)
        return None

    def _orders(self, command: Command) -> Answer:
        books = self._ctx.books
        chosen = books.orders if command.params.get("all") else books.open
        return {"orders": [order_fields(order) for order in chosen.values()]}

    def _positions(self, _: Command) -> Answer:
        positions = self._ctx.interceptor.risk.books.positions()
        bots = self._ctx.ledger.bots.of.items()
        of_bots = {bot: one.told_positions() for bot, one in sorted(bots) if one.positions}
        return {
            **({"bots": of_bots} if of_bots else {}),
            "positions": [
                {
                    "instrument_id": iid,
                    "symbol": symbol_of(iid),
                    "qty": plain(one.qty),
                    "avg_px": plain(one.avg_px),
                    "realised_pnl": plain(one.realised_pnl),
                    "fees_quote": plain(one.fees_quote),
                }
                for iid, one in sorted(positions.items())
            ],
        }

    def _incidents(self, _: Command) -> Answer:
        return {"incidents": [to_plain(one) for one in self._ctx.ledger.incidents.values()]}

    def _note(self, command: Command) -> Answer:
        incident_id = str(command.params.get("incident_id", ""))
        text = str(command.params.get("text", "")) or command.reason
        self._incidents_of.note(incident_id, text, _by(command))
        return {"incident_id": incident_id}

    def _explain(self, command: Command) -> Answer:
        seq, why = command.params.get("seq"), str(command.params.get("why", ""))
        if not isinstance(seq, int) or not why:
            raise CommandError(
                CommandErrorCode.BAD_PARAMS, "explain needs the event's seq and a why"
            )
        fields = journal.ExplanationRecord(about_seq=seq, why=why, by=_by(command))
        self._ctx.record(EventType.EXPLANATION, fields)
        return {"about_seq": seq}

    # ------------------------------------------------------------------ caps and positions
    def _tighten(self, command: Command) -> Answer:
        ctx = self._ctx
        changes = command.params.get("changes")
        if not isinstance(changes, Mapping) or not changes:
            raise CommandError(CommandErrorCode.BAD_PARAMS, "name the caps and their new values")
        gate = ctx.interceptor.risk
        old_hash = gate.capset.hash
        were = {str(key): gate.capset.value_of(str(key)) for key in changes}
        try:
            ctx.ledger.tighten(changes)
        except CapConfigError as error:
            code = CommandErrorCode
            refused = code.LOOSENING_REFUSED if error.is_loosening else code.BAD_PARAMS
            raise CommandError(refused, str(error)) from error
        fields = journal.CapsChangedRecord(
            old_hash=old_hash, new_hash=gate.capset.hash, changes=dict(changes), were=were,
            by=_by(command), reason=command.reason,
        )  # fmt: skip
        ctx.record(EventType.CAPS_CHANGED, fields)
        return {"caps_hash": gate.capset.hash}

    def _flatten(self, command: Command) -> Answer:
        symbol = self._symbol_of(command)
        self._session_control.flatten(command.reason, _by(command), command.command_id, symbol)
        return None

    def _resolve(self, command: Command) -> Answer:
        notes = {key: str(value) for key, value in command.params.items()}
        incident_id = notes.pop("incident_id", "")
        notes.setdefault("root_cause", command.reason)
        self._session_control.resolve(incident_id, _by(command), notes)
        return {"incident_id": incident_id, "resolved": True}


def _by(command: Command) -> str:
    return command.actor.name or f"uid {command.actor.uid}"
