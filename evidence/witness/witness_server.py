"""Serves a register over HTTP: boxes bring their heads, verifiers fetch what was signed.

Rules of this file:
1. Both sides sign what they say (`daemon/model/witness_words.py`), so a wire that somebody else
   holds can delay, and nothing more; TLS is for those who want it besides.
2. Nothing is answered before the register has it on its disk. Reads are open: heads are hashes.
3. Bodies, connections and waits are bounded. A connection without a whole request keeps nobody out:
   whoever comes beyond the bound takes the place of the one that has been idle for longest.
4. What is no request is answered and not logged: strangers fill no log.
"""

import asyncio
import base64
import logging
import re
import signal
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpProcessingError, RawRequestMessage
from aiohttp.log import server_logger
from aiohttp.web_protocol import RequestHandler
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.model.witness_words import (
    EXPORT_PATH,
    HEADS_PATH,
    NONCE_HEX_MAX,
    refusal_bytes,
)
from evidence.read.artifact_times import utc_now_ns
from evidence.witness.witness_register import (
    RegisterError,
    WitnessRefusedError,
    WitnessRegister,
    export_of,
)

BODY_BYTES_MAX = 4_096
CONNECTIONS_MAX = 256
FIRST_REQUEST_S = 10.0
KEEPALIVE_S = 75.0
"""Between two requests of a connection."""
ANSWER_S = 30.0
CLOSE_S = 5.0
_BACKLOG = 64
"""Accepted in one turn of the loop, and as many ended for them: `CONNECTIONS_MAX` may be exceeded
by twice as many open files for that long."""
_NONCE = re.compile(rf"[0-9a-f]{{0,{NONCE_HEX_MAX}}}")
_FINAL = frozenset({"second_head", "lower_sequence"})
_EXPORTS_AT_ONCE = 2
"""Each holds a box's lines in memory, and anybody may ask."""


def _is_our_fault(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_LOG = server_logger.getChild("witness")
_LOG.addFilter(_is_our_fault)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class AskedHead(msgspec.Struct, frozen=True):
    """What a box sends."""

    box: str
    seq: int
    head: str
    signature: str


class Connections(web.Server):
    """At most `CONNECTIONS_MAX`; those that ask for nothing make room, and are ended in time."""

    def __init__(self, answer: Handler) -> None:
        super().__init__(
            self._bounded, request_factory=_bounded_request, access_log=None, logger=_LOG
        )
        self._answer = answer
        self._idle: dict[RequestHandler, asyncio.TimerHandle] = {}
        """Those without a whole request under way; the one that is idle for longest is first."""
        self._busy: set[RequestHandler] = set()

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Take a connection; beyond the bound the longest idle one is ended for it."""
        super().connection_made(handler, transport)
        if self._idle and len(self._idle) + len(self._busy) >= CONNECTIONS_MAX:
            self._end(next(iter(self._idle)))
        self._rest(handler, FIRST_REQUEST_S)

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Forget a connection."""
        if (timer := self._idle.pop(handler, None)) is not None:
            timer.cancel()
        self._busy.discard(handler)
        super().connection_lost(handler, exc)

    async def _bounded(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer within a deadline; from when it is whole a request keeps its connection."""
        handler = request.protocol
        try:
            async with asyncio.timeout(ANSWER_S):
                await request.read()
                if len(self._busy) >= CONNECTIONS_MAX:
                    return _refusal(503, "busy", "too many requests at once; ask again later")
                if (timer := self._idle.pop(handler, None)) is not None:
                    timer.cancel()
                    self._busy.add(handler)
                return await self._answer(request)
        except TimeoutError:
            return _refusal(503, "busy", "no answer in time; ask again later")
        except (OSError, RegisterError) as error:
            return _refusal(503, "disk", f"the register refuses: {error}")
        finally:
            if handler in self._busy:
                self._busy.discard(handler)
                self._rest(handler, KEEPALIVE_S)

    def _rest(self, handler: RequestHandler, most_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._idle[handler] = loop.call_later(most_s, self._end, handler)

    def _end(self, handler: RequestHandler) -> None:
        self._idle.pop(handler).cancel()
        if handler.transport is not None:
            handler.transport.abort()


class WitnessServer:
    """One register, served; `serve` runs until it is told to end."""

    def __init__(self, register: WitnessRegister, directory: Path, key: Ed25519PrivateKey) -> None:
        """`directory` and `key` are the register's."""
        self._register = register
        self._directory = directory
        self._key = key
        self._exports = asyncio.Semaphore(_EXPORTS_AT_ONCE)

    async def serve(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        on_up: Callable[[str], None],
    ) -> None:
        """Serve until SIGTERM or SIGINT; `on_up` hears the address once connections are taken.

        Raises:
            OSError: the address cannot be listened on.
        """
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        connections = Connections(self._answer)
        runner = web.ServerRunner(connections, shutdown_timeout=CLOSE_S)
        await runner.setup()
        try:
            listening = await loop.create_server(
                connections, host, port, ssl=tls, backlog=_BACKLOG,
                ssl_handshake_timeout=FIRST_REQUEST_S if tls else None,
            )  # fmt: skip
            bound = listening.sockets[0].getsockname()[1]
            name = f"[{host}]" if ":" in host else host
            on_up(f"{'https' if tls else 'http'}://{name}:{bound}")
            try:
                await ended.wait()
            finally:
                listening.close()
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        match request.method, request.path:
            case "POST", path if path == HEADS_PATH:
                return await self._heads(request)
            case "GET" | "HEAD", path if path == EXPORT_PATH:
                return await self._export(request)
        return _refusal(404, "unknown", f"there are POST {HEADS_PATH} and GET {EXPORT_PATH}")

    async def _heads(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            asked = msgspec.json.decode(await request.read(), type=AskedHead)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _refusal(400, "bad_form", "a request is {box, seq, head, signature}")
        try:
            line = await asyncio.to_thread(
                self._register.countersign,
                asked.box, asked.seq, asked.head, asked.signature, utc_now_ns(),
            )  # fmt: skip
        except WitnessRefusedError as refusal:
            if refusal.code not in _FINAL:
                return _refusal(403, refusal.code, refusal.msg)
            words = refusal_bytes(
                self._register.witness, asked.box, asked.seq, asked.head, refusal.code
            )
            signed = base64.b64encode(self._key.sign(words)).decode("ascii")
            return _refusal(409, refusal.code, refusal.msg, signature=signed)
        return web.Response(body=msgspec.json.encode(line), content_type="application/json")

    async def _export(self, request: web.BaseRequest) -> web.StreamResponse:
        boxes = self._register.boxes
        box = request.query.get("box", boxes[0] if len(boxes) == 1 else "")
        nonce = request.query.get("nonce", "")
        if box not in boxes:
            return _refusal(404, "unknown_box", "name one with ?box=; `seatrial witness show`")
        if not _NONCE.fullmatch(nonce):
            return _refusal(400, "bad_form", f"a nonce is up to {NONCE_HEX_MAX} hex digits")
        async with self._exports:
            made = await asyncio.to_thread(
                export_of, self._directory, box, self._key, utc_now_ns(), nonce
            )
        return web.Response(body=made, content_type="application/jsonl")


def _bounded_request(
    message: RawRequestMessage, payload: StreamReader, protocol: RequestHandler,
    writer: AbstractStreamWriter, task: "asyncio.Task[None]",
) -> web.BaseRequest:  # fmt: skip
    return web.BaseRequest(
        message, payload, protocol, writer, task, asyncio.get_running_loop(),
        client_max_size=BODY_BYTES_MAX,
    )  # fmt: skip


def _refusal(status: int, code: str, msg: str, **more: str) -> web.Response:
    return web.json_response({"code": code, "msg": msg, **more}, status=status)
