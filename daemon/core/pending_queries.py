"""What is still owed an answer: queries to repeat and cancels to see through.

Rules of this file:
1. It is a diary, not an actor: it says what is due; `execution.py` does it.
2. Every repetition backs off; none is ever dropped while its order is open (promise P4).
3. It is volatile: after a restart the boot snapshot asks about every open order anyway.
"""

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from daemon.core.engine_config import EngineConfig
from daemon.core.retry import backoff_ns
from daemon.model.ids import ClientOrderId


class Ask(msgspec.Struct, kw_only=True):
    """One order that is to be queried until its state is settled."""

    why: str
    since_ns: int
    due_ns: int
    asked_ns: int = 0
    attempts: int = 0
    alarmed: bool = False
    mute: str = ""
    """What the venue said instead of an answer, last."""
    mute_ns: int = 0
    """Since when it has given none; 0: it has not been found mute."""


class Stage(StrEnum):
    """How far a cancel has come."""

    SEND = "send"
    """To be sent when due."""
    SENT = "sent"
    """Sent; when due without effect, ask."""
    ASKED = "asked"
    """Without effect so far; the answer to a query says whether to send again."""


class CancelTry(msgspec.Struct, kw_only=True):
    """One order that we want gone."""

    why: str
    stage: Stage
    due_ns: int
    attempts: int = 0
    alarmed: bool = False


class PendingQueries:
    """Queries and cancels under way, by client order id, oldest first."""

    def __init__(self, config: EngineConfig) -> None:
        """Nothing is owed."""
        self._config = config
        self.asks: dict[ClientOrderId, Ask] = {}
        self.cancels: dict[ClientOrderId, CancelTry] = {}
        self.replaces: dict[ClientOrderId, bool] = {}
        """Targets of replaces without an answer; True: in doubt, a query tells."""

    def ask(self, cid: ClientOrderId, why: str, now_ns: int, *, delay_ns: int = 0) -> None:
        """Have an order queried; an earlier wish keeps its place, and the nearer time wins."""
        known = self.asks.get(cid)
        if known is None:
            self.asks[cid] = Ask(why=why, since_ns=now_ns, due_ns=now_ns + delay_ns)
        elif known.attempts == 0:
            known.due_ns = min(known.due_ns, now_ns + delay_ns)

    def asked(self, ask: Ask, now_ns: int) -> None:
        """A query left; the next one backs off."""
        ask.attempts += 1
        ask.asked_ns = now_ns
        config = self._config
        ask.due_ns = now_ns + backoff_ns(ask.attempts, config.query_base_ns, config.query_cap_ns)

    def want_cancel(self, cid: ClientOrderId, why: str, now_ns: int) -> CancelTry:
        """Have an order canceled, however long it takes."""
        known = self.cancels.get(cid)
        if known is None:
            known = CancelTry(why=why, stage=Stage.SEND, due_ns=now_ns)
            self.cancels[cid] = known
        return known

    def cancel_sent(self, attempt: CancelTry, now_ns: int) -> None:
        """A cancel left; without effect it is asked about."""
        attempt.attempts += 1
        attempt.stage = Stage.SENT
        attempt.due_ns = now_ns + self._config.cancel_deadline_ns

    def cancel_later(self, attempt: CancelTry, now_ns: int) -> None:
        """Send again: at once after the first failure, then slower and slower."""
        attempt.stage = Stage.SEND
        config = self._config
        wait = 0
        if attempt.attempts > 1:
            wait = backoff_ns(attempt.attempts - 1, config.query_base_ns, config.query_cap_ns)
        attempt.due_ns = now_ns + wait

    def cancel_asked(self, attempt: CancelTry, now_ns: int) -> None:
        """The order behind a cancel is queried; without an answer it is queried again."""
        attempt.stage = Stage.ASKED
        attempt.attempts += 1
        config = self._config
        wait = backoff_ns(attempt.attempts, config.query_base_ns, config.query_cap_ns)
        attempt.due_ns = now_ns + wait

    def forget(self, cid: ClientOrderId) -> None:
        """The order is settled."""
        self.asks.pop(cid, None)
        self.cancels.pop(cid, None)
        self.replaces.pop(cid, None)

    def asks_due(self, now_ns: int) -> Iterator[tuple[ClientOrderId, Ask]]:
        """Queries whose time has come; safe to change the diary meanwhile."""
        return iter([(cid, ask) for cid, ask in self.asks.items() if ask.due_ns <= now_ns])

    def cancels_due(self, now_ns: int) -> Iterator[tuple[ClientOrderId, CancelTry]]:
        """Cancels whose time has come; safe to change the diary meanwhile."""
        return iter([(cid, one) for cid, one in self.cancels.items() if one.due_ns <= now_ns])
