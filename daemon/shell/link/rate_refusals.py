"""Refusals for rate on the socket roads: tell the governor, tell the engine, say until when.

REST does the same for its own answers in `rest_session.py`, where the headers are.
"""

from collections.abc import Callable

from daemon.errors import BudgetEmpty, SeatrialError, VenueRefusal
from daemon.model.inputs import Input, RateLimited
from daemon.shell.link.governor import Governor
from daemon.shell.process.clock import Clock
from daemon.venues.binance_spot.bans import until_ms_in
from daemon.venues.binance_spot.error_answers import limit_scope

_HANDSHAKE_SCOPES = {403: "waf", 418: "ban", 429: "weight"}


class RateRefusals:
    """One per link: what a socket is refused counts for all of its connections."""

    def __init__(
        self, *, governor: Governor, clock: Clock, deliver: Callable[[Input], None]
    ) -> None:
        self.on_refused: Callable[[], None] = lambda: None
        """Called when a handshake is refused without a reason: a front may hide a ban, which REST
        tells in words."""
        self._governor = governor
        self._clock = clock
        self._deliver = deliver

    def refused(self, *, status: int, code: int, until_ns: int | None, reason: str) -> int:
        """An answer refused for rate; returns until when (engine time) nothing is sent."""
        return self._pause(limit_scope(status, code), status, code, until_ns, reason)

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
        if error.status not in _HANDSHAKE_SCOPES:
            self.on_refused()
            return error
        until_ns = self._governor.until_ns(
            until_ms_in(str(error)), error.retry_after, self._clock.now_ns()
        )
        scope = _HANDSHAKE_SCOPES[error.status]
        until_ns = self._pause(scope, error.status, 0, until_ns, str(error))
        return BudgetEmpty(str(error), until_ns)

    def _pause(self, scope: str, status: int, code: int, until_ns: int | None, reason: str) -> int:
        until_ns = self._governor.pause(scope, until_ns, self._clock.now_ns())
        self._deliver(RateLimited(status, code, scope, until_ns, reason))
        return until_ns
