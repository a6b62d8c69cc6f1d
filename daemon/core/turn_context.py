"""The desk: what the parts of the engine share in one turn, and how a fact is written.

Rules of this file:
1. `effects` is the turn's answer, in order; `record` appends the journal line of a change that the
   ledger has just made (change first, then its line, then what it sends).
2. Each method is one fact: it changes the ledger through the ledger's own function and records it.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from daemon.core.decision_lines import approved_fields, denied_fields, order_of
from daemon.core.durable_state import DurableState, Incident
from daemon.core.engine_config import EngineConfig
from daemon.core.gate import Gate
from daemon.core.lifecycle import ImpossibleTransition, Trigger, advance
from daemon.core.pending_queries import PendingQueries
from daemon.model import journal_records as journal
from daemon.model.amounts import ZERO, plain
from daemon.model.bots import bot_of
from daemon.model.checks import invariant
from daemon.model.effects import CloseHalt, Effect, QueryOrder, Record, RefreshInstruments
from daemon.model.enums import OrderStatus, TradingState
from daemon.model.ids import InstrumentId, symbol_of
from daemon.model.intents import PlaceIntent
from daemon.model.orders import AmendOrder, CancelOrder, NewOrder, Order
from daemon.model.plain_values import to_plain
from daemon.model.records import SEVERITY, EventType
from daemon.model.reports import ExecutionReport, Fill
from daemon.model.stop_triggers import StopTrigger
from riskcaps.gate.interceptor import Interceptor
from riskcaps.words.denials import OF_THE_VENUES_LIST

_ORDER_APPROVED, _ORDER_STATE, _FILL = (
    EventType.ORDER_APPROVED,
    EventType.ORDER_STATE,
    EventType.FILL,
)
_FILLED = OrderStatus.FILLED
"""Looked up once: on Python 3.11 a look at a member of an enum costs as much as a call."""

SENT = advance(OrderStatus.APPROVED, Trigger.SENT, None, ZERO).new
"""What every order becomes in the turn of its approval."""
CONTEXT_DECISIONS = 10_000
"""A context is written again after so many decisions: a reader of late segments finds it."""
CONTEXTS_MAX = 1000
Outcome = Literal["adopted", "absent", "not_sent"]


class TurnContext:
    """Shared by the parts of the engine; one per engine."""

    def __init__(self, config: EngineConfig, interceptor: Interceptor) -> None:
        """Begin with empty books, HALTED, gate DOWN."""
        self.config = config
        self.interceptor = interceptor
        self.ledger = DurableState(interceptor, orders_retained=config.orders_retained)
        self.books = self.ledger.books
        self.gate = Gate()
        self.pending_queries = PendingQueries(config)
        self.trading_state = TradingState.HALTED
        self.now_ns = 0
        self.effects: list[Effect] = []
        self.contexts: dict[str, int] = {}
        """Risk contexts that stand in the journal, with the decisions until they are told again."""
        self.refusals: dict[InstrumentId, str] = {}
        """The last refusal of the venue on each instrument."""
        self.troubles: list[tuple[StopTrigger, str, str, dict[str, Any]]] = []
        """Incidents wished for in this turn: trigger, sentence, symbol, context."""
        self.misbehaved: list[tuple[str, str]] = []
        """Bots that a cap of their own stops in this turn, and why."""
        self.anomalies = self.errors = 0
        """Lines of such severity that this run has recorded."""

    # ------------------------------------------------------------------ writing
    def record(self, event_type: EventType, fields: Mapping[str, Any]) -> None:
        """Append one journal line to the turn."""
        self.effects.append(Record(event_type, fields))
        if event_type in SEVERITY:
            severity = SEVERITY[event_type]
            self.anomalies += severity.is_anomaly
            self.errors += severity.is_error

    def trouble(
        self,
        trigger: StopTrigger,
        msg: str,
        symbol: str = "",
        context: dict[str, Any] | None = None,
    ) -> None:
        """Ask for an incident; the engine opens it at the end of the turn.

        Where `context` names an order of a bot, it names the bot as well.
        """
        context = context or {}
        order = self.books.orders.get(context.get("client_order_id", ""))
        if order is not None and (bot := bot_of(order.strategy_id)):
            context["bot"] = bot
        self.troubles.append((trigger, msg, symbol, context))

    def incident(self, incident: Incident) -> None:
        """Open an incident in the ledger."""
        self.ledger.open_incident(incident)
        fields: journal.IncidentOpenedRecord = {
            "incident_id": incident.incident_id, "trigger": incident.trigger, "msg": incident.msg,
            "symbol": incident.symbol, "context": incident.context,
        }  # fmt: skip
        self.record(EventType.INCIDENT_OPENED, fields)

    # ------------------------------------------------------------------ orders
    def approve(
        self,
        order: NewOrder,
        reason: str,
        decision: Mapping[str, Any],
        owner: Mapping[str, Any] | None = None,
    ) -> Order:
        """Take an approved order into the books and write its line; the caller sends it.

        `owner`: the bot that asked for it, its own id of it, and its request.
        """
        made = order_of(order)
        if owner is not None:
            made.bot_order_id = owner["client_order_id"]
        made.status = SENT
        self._tell_context(order.instrument_id, decision)
        self.ledger.approve(made)
        counts = self.ledger.session.decided
        fields: journal.OrderApprovedRecord = approved_fields(
            order, reason, decision, counts, owner
        )
        self.record(_ORDER_APPROVED, fields)
        return made

    def _tell_context(self, instrument_id: InstrumentId, decision: Mapping[str, Any]) -> None:
        """Write the caps and filters that a decision names, before it, if they do not yet stand."""
        digest = decision.get("context")
        if digest is None:  # a cancel's denial stands on nothing
            return
        left = self.contexts.get(digest, 0)
        if not left:
            if len(self.contexts) >= CONTEXTS_MAX:  # wishes for symbols that nobody has heard of
                self.contexts.clear()
            context = self.interceptor.risk.contexts.of(instrument_id)
            invariant(context.digest == digest, "a decision names a context that is not its own")
            self.record(EventType.RISK_CONTEXT, {"context": digest, **context.plain})
            left = CONTEXT_DECISIONS
        self.contexts[digest] = left - 1

    def deny(
        self,
        intent: PlaceIntent,
        reason: str,
        context: Mapping[str, Any],
        decision: Mapping[str, Any],
        owner: Mapping[str, Any] | None = None,
    ) -> None:
        """Write down a wish that the interceptor refused."""
        self._tell_context(intent.instrument_id, decision)
        self.ledger.deny(reason, intent.bot)
        counts = self.ledger.session.decided
        verdict = (reason, context, decision)
        self.record(EventType.ORDER_DENIED, denied_fields(intent, verdict, counts, owner))
        if reason in OF_THE_VENUES_LIST:
            self.effects.append(RefreshInstruments(intent.instrument_id))

    def fire(
        self, order: Order, trigger: Trigger, why: str, report: ExecutionReport | None = None
    ) -> bool:
        """Move an order by one row of the lifecycle table, as far as its line says anything new.

        An impossible move becomes an incident. True when the row is listed.
        """
        old, known, claimed = order.status, order.venue_order_id, order.venue_cum_qty
        cum_qty, listed = order.cum_qty, order.venue_list_id
        try:
            row = advance(old, trigger, known, cum_qty)
        except ImpossibleTransition as error:
            self._impossible(order, f"{error} ({why})")
            return False
        new, seen, source, ts_venue_ns = row.new, known, "", 0
        is_same = new is old
        if report is not None:
            source, ts_venue_ns = report.source._value_, report.ts_venue_ns
            seen = report.venue_order_id or known
            is_same = is_same and seen == known
            if report.cum_qty > claimed:
                claimed, is_same = report.cum_qty, False
            if order.order_list is not None and not listed and report.venue_list_id:
                listed, is_same = report.venue_list_id, False
        if is_same:
            return True
        self.ledger.move(order, new, self.now_ns, seen, claimed, ts_venue_ns, listed)
        cum_text = plain(cum_qty)
        fields: journal.OrderStateRecord = {
            "client_order_id": order.client_order_id,
            "symbol": symbol_of(order.instrument_id),
            "instrument_id": order.instrument_id,
            "order_id": seen,
            "old": old._value_,
            "new": new._value_,
            "why": why,
            "cum_qty": cum_text,
            "venue_cum_qty": cum_text if claimed == cum_qty else plain(claimed),
            "source": source,
        }
        if order.bot_order_id and ts_venue_ns:
            fields["ts_venue_ns"] = ts_venue_ns
        if listed is not None:
            fields["order_list_id"] = listed
        self.record(_ORDER_STATE, fields)
        if old.is_terminal and not new.is_terminal:
            # Its hold is taken again: whoever reads the journal needs all that it is held for.
            self.resolved(order, "adopted", f"{trigger.value} after {old.value}: {why}")
        if row.alarm:
            self.trouble(
                StopTrigger.LIFECYCLE,
                f"order {order.client_order_id} was {old}: {row.note}",
                symbol_of(order.instrument_id),
                {"client_order_id": order.client_order_id, "old": old.value, "new": new.value},
            )
        return True

    def _impossible(self, order: Order, why: str) -> None:
        self.trouble(
            StopTrigger.LIFECYCLE,
            f"order {order.client_order_id}: {why}",
            symbol_of(order.instrument_id),
            {"client_order_id": order.client_order_id, "status": order.status.value},
        )
        self.pending_queries.ask(order.client_order_id, "impossible report", self.now_ns)

    def query(self, order: Order) -> None:
        """Ask the venue what became of an order."""
        self.effects.append(
            QueryOrder(order.client_order_id, order.instrument_id, order.venue_order_id)
        )

    def book(self, fill: Fill, order: Order) -> None:
        """Book one new fill and write its line."""
        late = order.status.is_terminal and order.status is not _FILLED
        self.ledger.book_fill(fill, order, self.now_ns)
        fields: journal.FillRecord = {
            "exec_id": fill.exec_id,
            "client_order_id": order.client_order_id,
            "symbol": symbol_of(order.instrument_id),
            "instrument_id": order.instrument_id,
            "order_id": fill.venue_order_id,
            "side": fill.side._value_,
            "qty": plain(fill.qty),
            "price": plain(fill.price),
            "fee": plain(fill.fee),
            "fee_asset": fill.fee_asset,
            "liquidity": fill.liquidity._value_,
            "partial": order.cum_qty < order.qty,
            "recovered": fill.recovered,
            "late": late,
            "ts_venue_ns": fill.ts_venue_ns,
            "ts_recv_ns": fill.ts_recv_ns,
            "position_qty": plain(self.interceptor.risk.books.position(fill.instrument_id)),
        }
        self.record(_FILL, fields)

    def resolved(self, order: Order, outcome: Outcome, proof: str) -> None:
        """Write how a doubt about an order ended; for `adopted` the order comes with it."""
        fields = journal.OrderResolvedRecord(
            client_order_id=order.client_order_id, symbol=symbol_of(order.instrument_id),
            instrument_id=order.instrument_id, outcome=outcome, proof=proof,
        )  # fmt: skip
        if outcome == "adopted":
            self.ledger.adopt(order, self.now_ns, counted=True)
            fields["counted"] = True
            fields["order"] = to_plain(order)
        self.record(EventType.ORDER_RESOLVED, fields)

    def cancel_requested(self, order: Order, cancel: CancelOrder, why: str) -> None:
        """Write that a cancel leaves in this turn."""
        row = advance(order.status, Trigger.CANCEL_SENT, order.venue_order_id, order.cum_qty)
        self.ledger.request_cancel(order, row.new, self.now_ns)
        fields: journal.CancelRequestedRecord = {
            **names_of(order),
            "order_id": order.venue_order_id,
            "request_id": cancel.request_id,
            "why": why,
        }
        self.record(EventType.CANCEL_REQUESTED, fields)

    def amend_requested(self, order: Order, amend: AmendOrder, why: str) -> None:
        """Write that an amend leaves in this turn; the order is not smaller yet."""
        instrument = self.ledger.instruments.get(order.instrument_id)
        fields: journal.AmendRequestedRecord = {
            **names_of(order), "order_id": order.venue_order_id, "request_id": amend.request_id,
            "old_qty": plain(order.qty), "qty": plain(amend.qty), "cum_qty": plain(order.cum_qty),
            "lot": plain(instrument.lot) if instrument is not None else None, "why": why,
        }  # fmt: skip
        self.record(EventType.AMEND_REQUESTED, fields)

    def amended(self, order: Order, qty: Decimal, source: str) -> None:
        """The venue says that an order is smaller: write it, and release what it gave up."""
        fields: journal.OrderAmendedRecord = {
            **names_of(order), "order_id": order.venue_order_id, "old_qty": plain(order.qty),
            "qty": plain(qty), "source": source,
        }  # fmt: skip
        self.record(EventType.ORDER_AMENDED, fields)
        self.ledger.amend(order, qty, self.now_ns)

    # ------------------------------------------------------------------ trading state
    def set_trading(self, new: TradingState, why: str, by: str = "engine") -> None:
        """Change what the gate admits, in the interceptor too."""
        old = self.trading_state
        if new is old:
            return
        self.trading_state = new
        self.ledger.heard(self.interceptor.risk.set_trading_state(new))
        if new is TradingState.HALTED:
            self.effects.append(CloseHalt(why))
        self.trading_line(old, new, why, by)

    def latch(self, why: str, by: str) -> None:
        """Latch HALTED: no start before a re-arm."""
        self.ledger.latch(why)
        if self.trading_state is TradingState.HALTED:
            self.trading_line(self.trading_state, self.trading_state, why, by)
        else:
            self.set_trading(TradingState.HALTED, why, by)

    def trading_line(self, old: TradingState, new: TradingState, why: str, by: str) -> None:
        """Write the line of a trading state."""
        fields: journal.TradingStateRecord = {
            "old": old.value, "new": new.value, "why": why, "by": by,
            "latched": self.ledger.latched,
        }  # fmt: skip
        self.record(EventType.TRADING_STATE, fields)


def names_of(order: Order) -> journal.OrderNames:
    """How a line about an order begins."""
    return {
        "client_order_id": order.client_order_id,
        "symbol": symbol_of(order.instrument_id),
        "instrument_id": order.instrument_id,
    }
