"""When the venue wants to be left alone: known to the books, named wherever somebody asks."""

from daemon.core.command_errors import CommandError, CommandErrorCode
from daemon.core.turn_context import TurnContext
from daemon.core.venue_pause import BANS
from daemon.model import journal_records as journal
from daemon.model.enums import GateState
from daemon.model.inputs import RateLimited
from daemon.model.records import EventType


def on_rate_limited(ctx: TurnContext, item: RateLimited) -> None:
    """The venue refused for rate: write it down, and close the gate for a ban."""
    fields = journal.RateLimitRecord(
        status=item.status, code=item.code, scope=item.scope, until_ns=item.until_ns,
        msg=item.reason,
    )  # fmt: skip
    ctx.record(EventType.RATE_LIMIT, fields)
    ctx.ledger.rate_limited(item.scope, item.until_ns, item.reason)
    follow_ban(ctx)


def follow_ban(ctx: TurnContext) -> bool:
    """Hold the gate BANNED for as long as a ban lasts; True when one has just ended."""
    pause, gate = ctx.ledger.pause, ctx.gate
    banned = pause.scope in BANS and ctx.now_ns < pause.until_ns
    was_banned = gate.state is GateState.BANNED
    gate.set_banned(pause.text(ctx.now_ns) if banned else "")
    return was_banned and not banned


def refuse_unready(ctx: TurnContext) -> None:
    """Whatever lets orders pass again needs READY, and books that the venue's agree with.

    Raises:
        CommandError: quoting everything that stands in the way.
    """
    gate = ctx.gate
    in_the_way = "; ".join(one.text for one in gate.obstacles())
    if gate.state is not GateState.READY:
        away = ", and the venue cannot be reached" if gate.down_words else ""
        raise CommandError(
            CommandErrorCode.NOT_READY, f"the gate is {gate.state}, not READY{away}: {in_the_way}"
        )
    if paused := ctx.ledger.pause.text(ctx.now_ns):
        raise CommandError(CommandErrorCode.NOT_READY, paused)
    if in_the_way:
        raise CommandError(CommandErrorCode.NOT_READY, f"the books are not clean: {in_the_way}")
