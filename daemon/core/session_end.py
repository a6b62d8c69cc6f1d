"""A session (or the daemon) on its way to rest: what it waits for, and what is told of its end."""

from collections.abc import Sequence
from typing import Any

import msgspec

from daemon.core.command_errors import CommandErrorCode
from daemon.core.flatten import Flatten, Left, is_flat, told
from daemon.core.turn_context import TurnContext
from daemon.model.effects import ExitDaemon, Reply
from daemon.model.ids import ClientOrderId
from daemon.model.stop_triggers import StopTrigger

_NS_PER_MS = 1_000_000
_NO_LINK_NS = 1_000_000_000
"""So long an end with empty books waits for a link to verify over. It ends unverified then, and
says so; with an order in the books it waits until its deadline."""


class SessionEnd(msgspec.Struct, kw_only=True):
    """One way to the end, whoever asked for it."""

    kind: str
    reason: str
    by: str
    began_ns: int
    deadline_ns: int
    command_ids: list[str] = msgspec.field(default_factory=list)
    exit_after: bool = False
    flatten: Flatten | None = None
    """The flattening that belongs to it; it may have been interrupted."""
    verify_ns: int = 0
    """Since when nothing of ours is left in the books; 0: something is."""
    verified: bool = False

    @property
    def flattens(self) -> bool:
        """Whether positions are still being reduced."""
        return self.flatten is not None and self.flatten.is_on

    def interrupt(self, why: str, ctx: TurnContext) -> None:
        """Whatever is being reduced stays as it is; from here it is a stop like any other."""
        if self.flatten is not None and self.flatten.is_on:
            self.flatten.interrupted = f"interrupted by {why}"
            self.deadline_ns = ctx.now_ns + ctx.config.stop_deadline_ns
            self.verify_anew()

    def waits_in_vain(self, ctx: TurnContext) -> bool:
        """Nothing of ours is left in the books, and no link has come up to ask the venue over."""
        waited_ns = ctx.now_ns - self.verify_ns
        return bool(self.verify_ns) and not ctx.gate.all_up and waited_ns >= _NO_LINK_NS

    def verify_anew(self) -> None:
        """Something is open again."""
        self.verify_ns = 0
        self.verified = False


def what_is_left(ctx: TurnContext, ending: SessionEnd) -> list[Left]:
    """What a flattening did not close; more than dust asks for an incident."""
    if ending.flatten is None:
        return []
    left = ending.flatten.left()
    if not is_flat(left, verified=ending.verified):
        symbols = {one.symbol for one in left}
        ctx.trouble(
            StopTrigger.NOT_FLAT,
            told(left, verified=ending.verified),
            symbols.pop() if len(symbols) == 1 else "",
            {"left": [one.fields() for one in left]},
        )
    return left


def tell_the_end(
    ctx: TurnContext,
    ending: SessionEnd,
    session_id: str,
    orders: Sequence[ClientOrderId],
    left: Sequence[Left],
) -> None:
    """Answer whoever asked for it, and leave when that was asked for."""
    result: dict[str, Any] = {
        "session_id": session_id,
        "kind": ending.kind,
        "verified_empty": ending.verified,
        "orders_left": list(orders),
        "duration_ms": (ctx.now_ns - ending.began_ns) // _NS_PER_MS,
    }
    code, text = "", ""
    if ending.flatten is not None:
        said = told(left, verified=ending.verified)
        fields = [one.fields() for one in left]
        result |= {"flat": ending.verified and not left, "left": fields, "text": said}
        if not is_flat(left, verified=ending.verified):
            code, text = CommandErrorCode.NOT_FLAT.value, said
    if orders:
        code, text = CommandErrorCode.NOT_EMPTY.value, f"{len(orders)} order(s) may still be open"
        if paused := ctx.ledger.pause.text(ctx.now_ns):
            text += f"; {paused}"
    elif not (ending.verified or code):
        code = CommandErrorCode.NOT_EMPTY.value
        text = "the venue was not seen empty of our orders in time: " + (
            "; ".join(one.text for one in ctx.gate.obstacles()) or "it lists some as open"
        )
    for command_id in ending.command_ids:
        ctx.effects.append(
            Reply(command_id=command_id, result=result, error_code=code, error_message=text)
        )
    if ending.exit_after:
        ctx.effects.append(ExitDaemon(1 if orders else 0, ending.reason or ending.kind))
