"""The waits of a stop in a process of its own: no event loop, unless REST is needed.

The rules of the stop are coroutines (`emergency_stop.py`). Here they never wait for a loop: what
they ask of the WebSocket API is driven and read in the calling thread. REST is the second route,
and has the daemon's own client; its loop is imported when the first route has failed.
"""

from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from daemon.errors import SeatrialError
from daemon.shell.link.link_config import VenueEndpoints
from daemon.shell.process.clock import Clock
from daemon.shell.stop.blocking_session import BlockingSession, Pending
from daemon.shell.stop.emergency_transports import AT_ONCE, Call
from daemon.venues.hosts import EndpointKind

if TYPE_CHECKING:  # a stop waits for every import
    from asyncio import Runner

    from daemon.venues.adapter import StopCodec

T = TypeVar("T")


class BlockingWaits:
    """See `StopWaits`. One thread owns it."""

    are_warmed = False

    def __init__(self) -> None:
        """No loop is made before REST is asked."""
        self._runner: Runner | None = None
        self._never = Event()

    async def pause(self, seconds: float) -> None:
        """Sleep."""
        self._never.wait(seconds)

    async def on_socket(self, calls: Sequence[Call]) -> list[Any]:
        """Send what the calls send, and read until each has its answer."""
        answers: list[Any] = [None] * len(calls)
        waiting: dict[Pending, tuple[int, Coroutine[Any, Any, Any]]] = {}

        def step(index: int, call: Coroutine[Any, Any, Any], act: Callable[[], Pending]) -> None:
            try:
                waiting[act()] = (index, call)
            except StopIteration as done:
                answers[index] = done.value
            except SeatrialError as error:
                answers[index] = error

        due = deque(enumerate(calls))
        try:
            while due or waiting:
                while due and len(waiting) < AT_ONCE:
                    index, make = due.popleft()
                    call = make()
                    step(index, call, partial(call.send, None))
                answered = [one for one in waiting if one.answer is not None]
                if waiting and not answered:
                    first = next(iter(waiting))  # the first sent is the first due
                    first.session.read(first.until_ns)
                for pending in answered:
                    index, call = waiting.pop(pending)
                    resume = call.throw if isinstance(pending.answer, SeatrialError) else call.send
                    step(index, call, partial(resume, pending.answer))
        finally:
            for _, call in waiting.values():
                call.close()
        return answers

    async def on_rest(self, calls: Sequence[Call]) -> list[Any]:
        """On a loop that runs only meanwhile."""
        from asyncio import Runner  # noqa: PLC0415 - the second route

        from daemon.shell.stop.loop_waits import gathered  # noqa: PLC0415 - it imports asyncio

        self._runner = self._runner or Runner()
        return self._runner.run(gathered(calls))

    def session(
        self, endpoints: VenueEndpoints, codec: "StopCodec", clock: Clock
    ) -> BlockingSession:
        """A connection without a loop."""
        endpoint = endpoints.endpoint(EndpointKind.WS_API)
        return BlockingSession(endpoints.environment, endpoint, codec, clock)

    def close(self) -> None:
        """End the loop, if there was one."""
        if self._runner is not None:
            self._runner.close()


def driven(stop: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine whose waits are all blocking."""
    try:
        stop.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    stop.close()
    raise RuntimeError("a stop without a loop waited for one")
