"""The control socket's server, and the thread that it lives in.

Rules of this file:
1. It runs on a loop of its own (plain asyncio): a main loop that hangs does not hang the stop.
2. Clients are bounded. At the bound, whoever holds most connections loses its idlest one, and the
   newcomer's first line is read at once: a storm of connections cannot keep a kill out.
3. Nothing that a client does ends the server; only `request_stop` does.
"""

import asyncio
import concurrent.futures
import contextlib
import errno
import logging
import re
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import orjson

from control.control_errors import ControlError, ProtocolErrorCode
from control.methods import build_models
from control.peer_identity import ControlConfig, Role, RoleTable, peer_of
from control.protocol import ErrorReply, encode_event, encode_fault, encode_result
from control.server.activation import passed_endpoint
from control.server.client_connection import ClientConnection
from control.server.connection_limits import Budget, ConnectionLimits
from control.server.daemon_port import DaemonPort
from control.server.line_events import RING_LINES, Found
from control.server.line_filter import bot_filter, type_filter
from control.server.request_handler import Caller, RequestHandler, Subscription
from control.server.socket_file import ListeningSocket
from control.status_snapshot import is_of_bot, rows
from daemon.model.copies import replace
from daemon.model.inputs import Actor

log = logging.getLogger("seatriald.control")

_ACCEPTS_A_TURN = 64
_NEWCOMERS_BURST = 64
_NEWCOMERS_PER_S = 50.0
"""Connections a user: above it, a newcomer that does not come to stop is turned away unread."""
_LINES_BURST = 200
_LINES_PER_S = 500.0
_PACED_DELAY_S = 0.1
"""Lines a user: above it, each connection of that user waits this long between two lines."""
_STOPPING_WORD = b'"kill"'
_PEEK_BYTES = 4_096
"""The envelope of a journal line stands first."""
_SEQ = re.compile(rb'\{"seq":(\d+),')
_ACCEPT_PAUSE_S = 0.05
_LAST_WORDS_S = 0.5
_MODELS_AFTER_S = 1.0
"""When the daemon has come up, what operators and observers send gets its validators."""
_PLACE_LOOK_S = 0.5
"""How often the server looks whether its socket still is where the tools look for it."""
_STRANGER = "stranger"

__all__ = ["ControlServer", "ControlThread", "DaemonPort"]

Background = Callable[[], Awaitable[None]]


class ControlServer:
    """Serves one socket for one daemon."""

    def __init__(self, config: ControlConfig, port: DaemonPort) -> None:
        self.config = config
        self._port = port
        self._roles = RoleTable(config.roles)
        self._clients: ConnectionLimits[ClientConnection] = ConnectionLimits()
        self._newcomers = Budget(_NEWCOMERS_BURST, _NEWCOMERS_PER_S)
        self._pace = Budget(_LINES_BURST, _LINES_PER_S)
        self._subscribers: dict[ClientConnection, Callable[[bytes], bool]] = {}
        self._stop = asyncio.Event()
        self._drained = asyncio.Event()
        self._answers: set[asyncio.Task[None]] = set()

    def request_stop(self) -> None:
        """End `serve` in order. On the server's loop only."""
        self._stop.set()

    async def serve(
        self,
        ready: Callable[[], None] | None = None,
        background: Sequence[Background] = (),
    ) -> None:
        """Serve until `request_stop`.

        `ready` is called once clients can connect; `background` coroutines (the warm REST session
        of the kill, say) run beside, and one that fails does not take the socket with it.

        Raises:
            SocketUnusableError, ControlConfigError: before `ready`.
        """
        self._loop = asyncio.get_running_loop()
        self._endpoint = passed_endpoint(self.config.socket_path) or ListeningSocket.open(
            self.config.socket_path, self.config.socket_group
        )
        hub = self._port.events()
        build_models(Role.STOPPER)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._handler = RequestHandler(self._port, self._spawn, self._loop.time)
                self._loop.add_reader(self._endpoint.sock, self._accept)
                helpers = [
                    group.create_task(_survived(one), name=f"control-background-{number}")
                    for number, one in enumerate(background)
                ]
                helpers.append(group.create_task(_build_models(), name="control-models"))
                helpers.append(group.create_task(self._keep_place(), name="control-place"))
                if ready is not None:
                    ready()
                await self._stop.wait()
                hub.detach()
                self._loop.remove_reader(self._endpoint.sock)
                await self._finish()
                for helper in helpers:
                    helper.cancel()
        finally:
            hub.detach()
            self._endpoint.close()

    async def _keep_place(self) -> None:
        """Make the socket again when its file was removed: a kill must be able to connect.

        A path that another daemon's socket has taken is left alone and told, once for each reason.
        """
        told = ""
        while True:
            await asyncio.sleep(_PLACE_LOOK_S)
            if self._endpoint.is_in_place or self._stop.is_set():
                told = ""
                continue
            try:
                made = self._endpoint.reopen(self.config.socket_group)
            except ControlError as error:
                if str(error) != told:
                    told = str(error)
                    log.error("the control socket is gone from its place: %s", told)
                continue
            self._loop.remove_reader(self._endpoint.sock)
            self._endpoint.sock.close()
            self._endpoint = made
            self._loop.add_reader(made.sock, self._accept)
            log.warning("the control socket %s was removed; it has been made anew", made.path)

    async def _finish(self) -> None:
        """Give commands in flight a grace to answer, then close every connection."""
        if self._answers:
            # A kill that has begun is given the time to verify: nobody else would finish it.
            has_kill_running = self._handler.kill_in_progress
            grace_s = self.config.kill_grace_s if has_kill_running else self.config.stop_grace_s
            await asyncio.wait(self._answers, timeout=grace_s)
        for task in self._answers:
            task.cancel()
        for connection in self._clients.all():
            connection.finish()
        if self._clients:
            self._drained.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drained.wait(), _LAST_WORDS_S)
        for connection in self._clients.all():
            connection.close()

    def _spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        task = self._group.create_task(coroutine, name=name)
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    # ------------------------------------------------------------------ connections

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_A_TURN):
            try:
                sock, _address = self._endpoint.sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}:
                    # Out of descriptors: give one back and look again soon, do not spin.
                    self._evict()
                    self._loop.remove_reader(self._endpoint.sock)
                    self._loop.call_later(_ACCEPT_PAUSE_S, self._accept_again)
                return
            sock.setblocking(False)
            try:
                self._meet(sock)
            except OSError:  # gone already
                sock.close()

    def _accept_again(self) -> None:
        if not self._stop.is_set():
            self._loop.add_reader(self._endpoint.sock, self._accept)

    def _meet(self, sock: socket.socket) -> None:
        """Accept a client: ask the kernel who it is, and keep or refuse it."""
        peer = peer_of(sock)
        if not self._newcomers.spend(peer.uid, self._loop.time()) and _comes_in_vain(sock):
            sock.close()
            return
        role = self._roles.role_of(peer)
        actor = Actor(
            uid=peer.uid,
            pid=peer.pid,
            role=role.value if role is not None else _STRANGER,
            name=self._roles.name_of(peer),
        )
        connection = ClientConnection(self, sock, Caller(actor, role), self._loop)
        self._clients.add(connection, peer.uid)
        if role is None:
            connection.refuse(
                ErrorReply(
                    ProtocolErrorCode.FORBIDDEN,
                    f"uid {peer.uid} has no role here: see [control] in the daemon's config",
                )
            )
            return
        connection.open()
        if len(self._clients) > self.config.clients_max:
            self._evict(connection)

    def _evict(self, newcomer: ClientConnection | None = None) -> None:
        connection = self._clients.idlest(newcomer)
        if connection is None:
            return
        connection.refuse(
            ErrorReply(
                ProtocolErrorCode.TOO_MANY_CLIENTS,
                f"more than {self.config.clients_max} clients: the idlest connection is closed",
            )
        )
        connection.close()

    # ------------------------------------------------------------------ what connections ask for

    def line(self, connection: ClientConnection, line: bytes) -> float:
        """Handle a line of a connection; returns the seconds that its next one has to wait."""
        self._clients.active(connection)
        self._answer(connection, line)
        in_pace = self._pace.spend(connection.caller.actor.uid, self._loop.time())
        return 0.0 if in_pace else _PACED_DELAY_S

    def _answer(self, connection: ClientConnection, line: bytes) -> None:
        busy = connection.in_flight >= self.config.requests_in_flight_max
        try:
            answer = self._handler.answer(line, connection.caller, busy=busy, send=connection.send)
        except ErrorReply as fault:
            connection.fail(fault)
            return
        except Exception as error:  # noqa: BLE001 - a bug in one answer must not end the stop path
            connection.fail(
                ErrorReply(ProtocolErrorCode.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
            )
            return
        if isinstance(answer, bytes):
            connection.send(answer)
        elif isinstance(answer, Subscription):
            self._subscribe(connection, answer)
        else:
            connection.in_flight += 1
            self._spawn(self._answer_later(connection, answer), "control-answer")

    async def _answer_later(
        self, connection: ClientConnection, answer: Coroutine[Any, Any, bytes]
    ) -> None:
        try:
            line = await answer
        except Exception as error:  # noqa: BLE001 - a bug in one answer must not end the stop path
            line = encode_fault(
                ErrorReply(ProtocolErrorCode.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
            )
        connection.answered(line)

    def refused(self, connection: ClientConnection, fault: ErrorReply) -> None:
        """Record a refusal below the level of requests."""
        self._handler.refused(fault, connection.caller)

    def gone(self, connection: ClientConnection) -> None:
        """A connection is closed."""
        self._clients.remove(connection)
        if not self._clients:
            self._drained.set()
        self._subscribers.pop(connection, None)
        if not self._subscribers:
            self._port.events().detach()

    # ------------------------------------------------------------------ events

    def _subscribe(self, connection: ClientConnection, asked: Subscription) -> None:
        passes = self._filter_of(asked)
        hub, wanted = self._port.events(), asked.params.tail
        hub.attach(self._wake_for_events)  # before the look at what is held: no line is missed
        held = hub.recent(RING_LINES)
        if asked.params.seq:
            self._tell_line(connection, asked, held)
            return
        recent, told = [line for line in held if passes(line)], _seq_in(held[-1:])
        if len(recent) >= wanted or hub.older is None:
            self._tell(connection, asked, recent[-wanted:] if wanted else [], passes, told=told)
            return
        params = asked.params
        older = hub.older(
            params.types, params.without, wanted - len(recent), _seq_in(held[:1]), bot=params.bot
        )
        connection.in_flight += 1
        self._spawn(self._subscribe_later(connection, asked, held, older), "control-history")

    def _filter_of(self, asked: Subscription) -> Callable[[bytes], bool]:
        """Which lines a subscription wants; it is given them oldest first."""
        is_wanted = type_filter(asked.params.types, asked.params.without)
        bot = asked.params.bot
        if not bot:
            return is_wanted
        orders = rows(self._port.status(), "open_orders")
        is_bots = bot_filter(
            bot,
            (str(one["client_order_id"]) for one in orders if is_of_bot(one, bot)),
        )
        return lambda line: is_bots(line) and is_wanted(line)

    def _tell_line(
        self, connection: ClientConnection, asked: Subscription, held: Sequence[bytes]
    ) -> None:
        """Answer with one line, from memory or from the files."""
        seq, find = asked.params.seq, self._port.events().line
        once = replace(asked, params=asked.params.model_copy(update={"follow": False, "tail": 1}))
        found = [line for line in held if _seq_in([line]) == seq]
        if found or find is None:
            self._tell(connection, once, found, _everything)
            return
        connection.in_flight += 1
        self._spawn(self._subscribe_later(connection, once, [], find(seq)), "control-history")

    async def _subscribe_later(
        self,
        connection: ClientConnection,
        asked: Subscription,
        held: list[bytes],
        older: concurrent.futures.Future[Found],
    ) -> None:
        """Read older lines from the files, because memory lacks them, and then subscribe."""
        passes = self._filter_of(asked)
        try:
            found = await asyncio.wrap_future(older)
        except Exception:  # noqa: BLE001 - a bug in one search must not end the stop path
            found = Found([], is_whole=False)
        last = _seq_in(held[-1:])
        hub = self._port.events()
        hub.attach(self._wake_for_events)
        since = hub.recent(RING_LINES) if not asked.params.seq else []
        lost = max(0, _seq_in(since[:1]) - last - 1) if last else 0
        lines = [line for line in (*found.lines, *held) if passes(line)]
        lines += [line for line in since if _seq_in([line]) > last and passes(line)]
        is_whole = found.is_whole and not lost
        told, shown = _seq_in(since[-1:]), lines[-asked.params.tail :]
        self._tell(connection, asked, shown, passes, told=told, is_whole=is_whole)
        connection.offer_events([], lost, passes)
        connection.answered(asked)

    def _tell(
        self,
        connection: ClientConnection,
        asked: Subscription,
        lines: list[bytes],
        passes: Callable[[bytes], bool],
        *,
        told: int = 0,
        is_whole: bool = True,
    ) -> None:
        """Answer with lines; a follower gets those after `told` as they come."""
        if not asked.params.follow:
            answer: dict[str, Any] = {"events": [orjson.Fragment(line) for line in lines]}
            if not is_whole:
                answer["incomplete"] = True
            connection.send(encode_result(asked.request_id, answer))
            return
        connection.send(encode_result(asked.request_id, {"following": True}))
        for line in lines:
            connection.send(encode_event(line))
        if not connection.closed:
            connection.subscription = asked
            self._subscribers[connection] = lambda line: (
                not 0 < _seq_in([line]) <= told and passes(line)
            )

    def _wake_for_events(self) -> None:
        """Called by the journal's thread: wake the loop to send what was published."""
        with contextlib.suppress(RuntimeError):  # the loop has just closed: nobody is listening
            self._loop.call_soon_threadsafe(self._hand_out_events)

    def _hand_out_events(self) -> None:
        lines, dropped = self._port.events().drain()
        for connection, passes in list(self._subscribers.items()):
            connection.offer_events(lines, dropped, passes)


def _everything(line: bytes) -> bool:
    return bool(line)


def _seq_in(lines: Sequence[bytes]) -> int:
    """The sequence number of the first line; 0 when there is none."""
    match = _SEQ.match(lines[0]) if lines else None
    return int(match[1]) if match else 0


_TURNED_AWAY = encode_fault(
    ErrorReply(
        ProtocolErrorCode.TOO_MANY_CLIENTS,
        "too many connections from this user: come back in a second",
    )
)


def _comes_in_vain(sock: socket.socket) -> bool:
    """Whether to refuse a client at once: it has sent something, and it is no stop command."""
    try:
        said = sock.recv(_PEEK_BYTES, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    if _STOPPING_WORD in said:
        return False
    with contextlib.suppress(OSError):
        sock.send(_TURNED_AWAY)
    return True


async def _build_models() -> None:
    await asyncio.sleep(_MODELS_AFTER_S)
    for needs in (Role.OPERATOR, Role.OBSERVER):
        build_models(needs)


async def _survived(one: Background) -> None:
    with contextlib.suppress(Exception):
        await one()


class ControlThread:
    """The control server in a thread and loop of its own.

    `start` returns when clients can connect, and raises what prevented it; `stop` ends in order.
    """

    def __init__(
        self, config: ControlConfig, port: DaemonPort, background: Sequence[Background] = ()
    ) -> None:
        self._config = config
        self._port = port
        self._background = background
        self._thread = threading.Thread(target=self._run, name="seatrial-control", daemon=True)
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: ControlServer | None = None

    @property
    def alive(self) -> bool:
        """Whether the control plane still serves; the watchdog asks."""
        return self._thread.is_alive()

    def start(self, timeout_s: float = 10.0) -> None:
        """Serve from now on.

        Raises:
            SocketUnusableError, ControlConfigError: what prevents it, with the mend.
            ControlError: the thread did not come up in time.
        """
        self._thread.start()
        if not self._ready.wait(timeout_s):
            raise ControlError(f"the control thread did not come up within {timeout_s:g} s")
        if self._error is not None:
            self._thread.join(timeout_s)
            raise self._error

    def stop(self, timeout_s: float = 40.0) -> bool:
        """Stop serving after a grace for answers in flight; False when the thread did not end."""
        if self._loop is not None and self._server is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._server.request_stop)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001 - carried over to the caller of start()
            self._error = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = ControlServer(self._config, self._port)
        await self._server.serve(self._ready.set, self._background)
