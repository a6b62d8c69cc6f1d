"""Refusals for rate on the socket routes: tell the governor, tell the engine, say until when.

REST does the same for its own answers in `rest_session.py`, where the headers are.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from daemon.errors import BudgetEmpty, SeatrialError, VenueRefusal
from daemon.shell.link.governor import Governor
from daemon.shell.process.clock import Clock
from daemon.venues.faults import Fault

if TYPE_CHECKING:
    from daemon.model.inputs import RateLimited


class RateRefusals:
    """One per link or stop: what a socket is refused counts for all of its connections."""

    def __init__(
        self, *, governor: Governor, clock: Clock, deliver: "Callable[[RateLimited], None]"
    ) -> None:
        self.on_refused: Callable[[], None] = lambda: None
        """Called when a handshake is refused without a reason: a front may hide a ban, which REST
        tells in words."""
        self._governor = governor
        self._clock = clock
        self._deliver = deliver

    def refused(self, fault: Fault, until_ns: int | None) -> int:
        """An answer refused for rate; returns until when (engine time) nothing is sent."""
        return self._pause(fault.scope, fault.status, fault.code, until_ns, fault.text)

    def connect(self, *, weight: int) -> None:
        """Ask the governor for a new connection.

        Raises:
            BudgetEmpty: not now.
        """
        now_ns = self._clock.now_ns()
        refusal = self._governor.admit_connection(weight=weight, now_ns=now_ns)
        if refusal is not None:
            raise BudgetEmpty(refusal.reason, refusal.until_ns)

    def of_handshake(self, error: SeatrialError) -> SeatrialError:
        """What a failed handshake means: a ban is told and waited for, the rest stays itself."""
        if not isinstance(error, VenueRefusal):
            return error
        plan = self._governor.plan
        scope = plan.scopes.get(error.status)
        if scope is None:
            self.on_refused()
            return error
        until_ns = self._governor.until_ns(
            plan.until_ms_in(str(error)), error.retry_after, self._clock.now_ns()
        )
        until_ns = self._pause(scope, error.status, 0, until_ns, str(error))
        return BudgetEmpty(str(error), until_ns)

    def _pause(self, scope: str, status: int, code: int, until_ns: int | None, reason: str) -> int:
        until_ns = self._governor.pause(scope, until_ns, self._clock.now_ns())
        from daemon.model.inputs import RateLimited  # noqa: PLC0415 - a stop waits for every import

        self._deliver(RateLimited(status, code, scope, until_ns, reason))
        return until_ns
