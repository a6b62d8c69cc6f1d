"""Serves a register over HTTP: boxes bring their heads, verifiers fetch what was signed.

Rules of this file:
1. Both sides sign what they say (`daemon/model/witness_words.py`), so a wire that somebody else
   holds can delay, and nothing more; TLS is for those who want it besides.
2. Nothing is answered before the register has it on its disk. Reads are open: heads are hashes.
3. Bodies, connections and waits are bounded.
"""

import asyncio
import base64
import re
import signal
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from aiohttp import web
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
KEEPALIVE_S = 75.0
ANSWER_S = 30.0
CLOSE_S = 5.0
_BACKLOG = 128
_NONCE = re.compile(rf"[0-9a-f]{{0,{NONCE_HEX_MAX}}}")
_FINAL = frozenset({"second_head", "lower_sequence"})
_EXPORTS_AT_ONCE = 2
"""Each holds a box's lines in memory, and anybody may ask."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AskedHead(msgspec.Struct, frozen=True):
    """What a box sends."""

    box: str
    seq: int
    head: str
    signature: str


class WitnessServer:
    """One register, served; `serve` runs until it is told to end."""

    def __init__(self, register: WitnessRegister, directory: Path, key: Ed25519PrivateKey) -> None:
        """`directory` and `key` are the register's."""
        self._register = register
        self._directory = directory
        self._key = key
        self._open = 0
        self._exports = asyncio.Semaphore(_EXPORTS_AT_ONCE)

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[self._bounded])
        app.router.add_post(HEADS_PATH, self._heads)
        app.router.add_get(EXPORT_PATH, self._export)
        return app

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
        runner = web.AppRunner(
            self.application(), access_log=None, keepalive_timeout=KEEPALIVE_S,
            shutdown_timeout=CLOSE_S,
        )  # fmt: skip
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port, ssl_context=tls, backlog=_BACKLOG)
            await site.start()
            bound = runner.addresses[0][1]
            name = f"[{host}]" if ":" in host else host
            on_up(f"{'https' if tls else 'http'}://{name}:{bound}")
            await ended.wait()
        finally:
            await runner.cleanup()

    @web.middleware
    async def _bounded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """At most so many requests at once, each within its deadline."""
        if self._open >= CONNECTIONS_MAX:
            return _refusal(503, "busy", "too many requests at once; ask again later")
        self._open += 1
        try:
            async with asyncio.timeout(ANSWER_S):
                return await handler(request)
        except TimeoutError:
            return _refusal(503, "busy", "no answer in time; ask again later")
        except (OSError, RegisterError) as error:
            return _refusal(503, "disk", f"the register refuses: {error}")
        finally:
            self._open -= 1

    async def _heads(self, request: web.Request) -> web.StreamResponse:
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

    async def _export(self, request: web.Request) -> web.StreamResponse:
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


def _refusal(status: int, code: str, msg: str, **more: str) -> web.Response:
    return web.json_response({"code": code, "msg": msg, **more}, status=status)
