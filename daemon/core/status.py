"""Status as plain JSON: what an operator looks at first, from the desk's own state."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from daemon.core.books import order_fields
from daemon.core.bots.bot_handler import Bots
from daemon.core.bots.money import allotments_short
from daemon.core.durable_state import DurableState
from daemon.core.latest_market import LatestMarket
from daemon.core.reconciliation_rounds import ReconciliationRounds
from daemon.core.session_control import SessionControl
from daemon.core.tripwires import Tripwires
from daemon.core.turn_context import TurnContext
from daemon.model.amounts import plain
from daemon.model.ids import InstrumentId, symbol_of
from daemon.model.plain_values import to_plain
from daemon.model.readiness import Obstacle
from riskcaps.gate.bot_scope import usage_of_bots
from riskcaps.words.explain import CapUsage

OPEN_ORDERS_SHOWN = 200
INCIDENTS_SHOWN = 10
_NS_PER_MS = 1_000_000


DECIMALS_TOLD = 18
"""More than any venue has: what has more is a quotient, and the journal has all of it."""


def told(value: Decimal) -> str:
    """An amount in plain digits; of a quotient at most 18 decimals."""
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -DECIMALS_TOLD:
        value = round(value, DECIMALS_TOLD)
    return plain(value)


def _equity(ctx: TurnContext, now_ns: int) -> dict[str, Any]:
    view = ctx.interceptor.risk.equity(now_ns)
    amounts = msgspec.structs.asdict(view)
    return {
        name: told(value) if isinstance(value, Decimal) else value
        for name, value in amounts.items()
    }


def caps_used(usage: Iterable[CapUsage]) -> list[dict[str, str]]:
    """Every cap that fills up, with what is used of it now."""
    return [
        {
            "cap": use.cap,
            "symbol": use.symbol,
            "used": told(Decimal(use.used)),
            "limit": plain(Decimal(use.limit)),
            "unit": use.unit,
        }
        for use in usage
    ]


def _bots(ctx: TurnContext, bots: Bots, now_ns: int) -> dict[str, Any]:
    """By bot: its state, what it did, and the use of its own caps."""
    usage = usage_of_bots(ctx.interceptor.risk, now_ns)
    return {
        name: {**row, "caps": caps_used(usage.get(name, ()))} for name, row in bots.status().items()
    }


def _age_ms(now_ns: int, then_ns: int) -> int | None:
    return (now_ns - then_ns) // _NS_PER_MS if then_ns else None


def _last_trade(market: LatestMarket, iid: InstrumentId, now_ns: int) -> dict[str, Any]:
    price, heard_ns = market.last.get(iid, (None, 0))
    return {
        "last": None if price is None else plain(price),
        "last_age_ms": _age_ms(now_ns, heard_ns),
    }


def _ages(ctx: TurnContext, now_ns: int) -> dict[str, Any]:
    """Age of each datum that decisions use beside the market; None: not heard of yet."""
    gate = ctx.interceptor.risk
    assets = set[str]().union(*ctx.ledger.compared().values())
    return {
        "clock": _age_ms(now_ns, max(gate.health.clock_ns, 0)),
        "venue_budget": _age_ms(now_ns, gate.health.budget_ns),
        "balances": {
            asset: _age_ms(now_ns, gate.books.accounts[asset].heard_ns)
            for asset in sorted(assets)
            if asset in gate.books.accounts
        },
    }


def _pause(ledger: DurableState, now_ns: int) -> dict[str, Any] | None:
    pause = ledger.pause
    text = pause.text(now_ns)
    if not text:
        return None
    return {
        "scope": pause.scope,
        "until_ns": pause.until_ns,
        "left_ms": (pause.until_ns - now_ns) // _NS_PER_MS,
        "text": text,
        "reason": pause.reason,
    }


def _obstacle(one: Obstacle) -> dict[str, str]:
    return {"reason": one.reason.value, "text": one.text, "detail": one.detail}


def _caps(ctx: TurnContext, now_ns: int) -> dict[str, Any]:
    """Use of each cap; what `caps set` made stricter, and what of that an edited file has ended."""
    ledger, risk = ctx.ledger, ctx.interceptor.risk
    values = {key: value for changes in ledger.tightened for key, value in changes.items()}
    return {
        "caps": caps_used(risk.usage(now_ns)),
        "caps_tightened": [
            {"cap": key, "value": value, "config": ledger.config_caps.value_of(key)}
            for key, value in sorted(values.items())
        ],
        "caps_ended": dict(sorted(ledger.ended.items())),
        "prices_missing": risk.valuation.unvalued(),
    }


def _incidents(ledger: DurableState) -> list[Any]:
    """Every unresolved one, then the latest resolved ones while there is room."""
    resolved = [one for one in ledger.incidents.values() if one not in ledger.unresolved]
    room = max(0, INCIDENTS_SHOWN - len(ledger.unresolved))
    shown = [*ledger.unresolved, *(resolved[-room:] if room else [])]
    return [to_plain(one) for one in shown]


def _compared(ctx: TurnContext, rounds: ReconciliationRounds, now_ns: int) -> dict[str, Any]:
    """Reconciliation, and what of others is on the account."""
    return {
        "reconcile": {
            "rounds": rounds.rounds,
            "last_reason": rounds.last_reason,
            "last_age_ms": _age_ms(now_ns, rounds.last_round_ns),
            "clean_age_ms": _age_ms(now_ns, rounds.last_clean_ns),
            "clean": ctx.gate.books is None,
        },
        "others": {
            "order_events": rounds.foreign_events,
            "orders_open": rounds.foreign_open,
            "orders_traded": rounds.foreign_traded,
        },
    }


def status(
    ctx: TurnContext,
    market: LatestMarket,
    rounds: ReconciliationRounds,
    session_control: SessionControl,
    wires: Tripwires,
    *,
    bots: Bots,
    now_ns: int,
    booted_ns: int,
) -> dict[str, Any]:
    """Everything of `seatrial status`, money as text, times in milliseconds."""
    ledger, gate, books = ctx.ledger, ctx.gate, ctx.books
    session = ledger.session
    ending = session_control.ending
    return {
        "environment": ctx.config.environment,
        "mode": ctx.config.mode.value,
        "run_id": ctx.config.run,
        "session_id": session.session_id,
        "session_age_ms": _age_ms(now_ns, session.started_ns) if session.session_id else None,
        "uptime_ms": (now_ns - booted_ns) // _NS_PER_MS if booted_ns else 0,
        "trading_state": ctx.trading_state.value,
        "gate_state": gate.state.value,
        "not_ready": [_obstacle(one) for one in gate.obstacles()],
        "venue_pause": _pause(ledger, now_ns),
        "latched": ledger.latched,
        "latch_reason": ledger.latch_reason,
        "ending": "" if ending is None else ending.kind,
        "journal_ok": session_control.journal_ok,
        "symbols_blocked": session_control.symbols.blocked(),
        "clock_problem": ctx.interceptor.risk.clock_problem(),
        "links": {link.value: up for link, up in gate.up.items()},
        "orders": {kind.value: n for kind, n in sorted(books.counts.items()) if n},
        "open_orders": [order_fields(order) for order in list(books.working())[:OPEN_ORDERS_SHOWN]],
        "session_orders": session.orders,
        "session_fills": session.fills,
        "denied": dict(sorted(session.denied.items())),
        "positions": {
            symbol_of(iid): {
                "qty": plain(one.qty),
                "avg_px": told(one.avg_px),
                "realised_pnl": told(one.realised_pnl),
            }
            for iid, one in sorted(ctx.interceptor.risk.books.positions().items())
        },
        **_caps(ctx, now_ns),
        "equity": _equity(ctx, now_ns),
        "incidents": _incidents(ledger),
        "incidents_open": len(ledger.unresolved),
        **_compared(ctx, rounds, now_ns),
        "market": {
            symbol_of(iid): {
                "age_ms": _age_ms(now_ns, market.quote_ns[iid]),
                "bid": plain(top.bid_px),
                "ask": plain(top.ask_px),
                **_last_trade(market, iid, now_ns),
            }
            for iid, top in sorted(market.tops.items())
        },
        **({"bots": told_bots} if (told_bots := _bots(ctx, bots, now_ns)) else {}),
        **({"allotments_short": shorts} if (shorts := allotments_short(ctx)) else {}),
        "ages_ms": _ages(ctx, now_ns),
        "storms": {
            "rate_limit": wires.rate_limit.recent(now_ns),
            "reject": wires.reject.recent(now_ns),
            "reconnect": wires.reconnect.recent(now_ns),
        },
    }
