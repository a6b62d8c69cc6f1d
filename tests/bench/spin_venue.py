"""A venue that never sleeps: a process that busy-polls its sockets and notes when bytes arrive.

It answers the WebSocket and REST calls that an order client makes, and keeps, for each client order
id, the instant (CLOCK_MONOTONIC, shared by all processes of one machine) at which recv(2) returned
the bytes. It costs a whole core, and takes its own idle wake-up out of the client's figure.
`GET /times` on any connection answers `{id: ns}` and forgets.

Run as a process: prints one JSON line `{"port": N, "pid": N}` and ends when its parent does.
"""

import argparse
import base64
import gc
import hashlib
import json
import os
import re
import socket
import sys
import time
from typing import Any

from daemon.shell.process.clock import SystemClock
from tests.bench.spin_book import (
    DEPTH,
    NO_SUCH_ORDER,
    NOTHING_TO_CANCEL,
    QUERY,
    TEXT,
    SpinBook,
    exchange_info,
)

CLOCK = SystemClock()
WS_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
WS_ID = re.compile(rb'"newClientOrderId":\s*"([^"]+)"')
REST_ID = re.compile(rb"newClientOrderId=([^&\s]+)")
REQUEST_ID = re.compile(rb'"id":\s*("[^"]*"|\d+)')
METHOD = re.compile(rb'"method":\s*"([^"]+)"')
TRIGGER_EVERY = 9
TRIGGER_UPDATE_ID = 1_000_000_000_000
SPINS_BETWEEN_ACCEPTS = 256
SPINS_BETWEEN_ROUNDS = 32
"""The last active connection is looked at in every spin, the others once in so many."""
RECV_BYTES = 1 << 18


class Connection:
    """One client: an HTTP request line at first, a WebSocket after an upgrade."""

    def __init__(self, sock: socket.socket, venue: "Venue") -> None:
        self.sock = sock
        self.venue = venue
        self.times = venue.times
        self.book = venue.book
        self.buffer = b""
        self.is_websocket = False
        self.is_over = False

    def feed(self, data: bytes, now_ns: int) -> None:
        """Take bytes that arrived at `now_ns`; answer every whole message in them."""
        self.buffer = self.buffer + data if self.buffer else data
        if not self.is_websocket:
            self._feed_http(now_ns)
        if self.is_websocket:
            self._feed_websocket(now_ns)

    def _feed_http(self, now_ns: int) -> None:
        while not self.is_websocket:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end]
            length = re.search(rb"(?i)content-length:\s*(\d+)", head)
            stop = end + 4 + (int(length[1]) if length else 0)
            if len(self.buffer) < stop:
                return
            request, self.buffer = self.buffer[:stop], self.buffer[stop:]
            key = re.search(rb"(?i)sec-websocket-key:\s*(\S+)", head)
            if key:
                self._upgrade(key[1])
                if request.startswith(b"GET /stream"):
                    self.venue.streams.append(self)
                return
            self._answer_http(request, now_ns)

    def _upgrade(self, key: bytes) -> None:
        accept = base64.b64encode(hashlib.sha1(key + WS_GUID).digest())
        self.is_websocket = True
        self._send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    def _answer_http(self, request: bytes, now_ns: int) -> None:
        status, body = self._answer(request, now_ns)
        self._send(
            b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (status, len(body), body)
        )

    def _answer(self, request: bytes, now_ns: int) -> tuple[bytes, bytes]:
        path = request[: request.find(b" HTTP/")].partition(b"?")[0]
        ok, refused = b"200 OK", b"400 Bad Request"
        if path == b"GET /times":
            body = json.dumps(self.times).encode()
            self.times.clear()
            return ok, body
        if path.startswith(b"GET /bench/"):
            return ok, self.venue.told(path[11:].decode())
        if path in (b"POST /api/v3/order", b"DELETE /api/v3/order", b"DELETE /api/v3/openOrders"):
            found = {name: m[1] for name, p in QUERY.items() if (m := p.search(request))}
            if path.startswith(b"POST"):
                own = REST_ID.search(request)
                if own:
                    self.times[own[1].decode()] = now_ns
                return ok, self.book.place(own[1] if own else b"", found, now_ns)
            if path.endswith(b"/order"):
                row = self.book.cancel(found, now_ns)
            else:
                row = self.book.cancel_all(found.get(b"symbol", b""), now_ns)
            return (refused, NOTHING_TO_CANCEL) if row is None else (ok, row)
        return self._answer_get(path, request)

    def _answer_get(self, path: bytes, request: bytes) -> tuple[bytes, bytes]:
        name = path.rpartition(b"/")[2]
        if name == b"time":
            return b"200 OK", b'{"serverTime":%d}' % (CLOCK.now_ns() // 1_000_000)
        if name == b"order":
            return b"400 Bad Request", NO_SUCH_ORDER
        if name == b"openOrders":
            symbol = QUERY[b"symbol"].search(request)
            return b"200 OK", self.book.listing(symbol[1] if symbol else b"")
        bodies = {
            b"exchangeInfo": self.venue.exchange_info,
            b"depth": DEPTH,
            b"account": self.book.account,
        }
        return b"200 OK", bodies.get(name, b"[]")

    def _feed_websocket(self, now_ns: int) -> None:
        out = []
        while (frame := self._next_frame()) is not None:
            opcode, payload = frame
            if opcode == 8:
                out.append(b"\x88\x00")
                self.is_over = True
            elif opcode == 9:
                out.append(server_frame(payload, opcode=10))
            elif opcode in (1, 2):
                out.append(server_frame(self._reply(payload, now_ns)))
        if out:
            self._send(b"".join(out))

    def _reply(self, payload: bytes, now_ns: int) -> bytes:
        request_id, method = REQUEST_ID.search(payload), METHOD.search(payload)
        kind = method[1] if method else b""
        result: bytes | None = b"{}"
        if kind == b"order.place":
            own = WS_ID.search(payload)
            if own:
                self.times[own[1].decode()] = now_ns
            result = self.book.place(own[1] if own else b"", fields_of(payload), now_ns)
        elif kind == b"order.cancel":
            result = self.book.cancel(fields_of(payload), now_ns)
        elif kind == b"openOrders.cancelAll":
            result = self.book.cancel_all(fields_of(payload).get(b"symbol", b""), now_ns)
        elif kind == b"openOrders.status":
            result = self.book.listing(fields_of(payload).get(b"symbol", b""))
        elif kind == b"time":
            result = b'{"serverTime":%d}' % (CLOCK.now_ns() // 1_000_000)
        elif kind.startswith(b"userDataStream.subscribe"):
            result = b'{"subscriptionId":0}'
        about = request_id[1] if request_id else b"null"
        if result is None:
            return b'{"id":%b,"status":400,"error":%b,"rateLimits":[]}' % (about, NOTHING_TO_CANCEL)
        return b'{"id":%b,"status":200,"result":%b,"rateLimits":[]}' % (about, result)

    def push(self, data: bytes) -> None:
        """Send a frame that nobody asked for; a lost connection shows when it is read."""
        try:
            self._send(data)
        except OSError:
            self.is_over = True

    def _next_frame(self) -> tuple[int, bytes] | None:
        data = self.buffer
        if len(data) < 2:
            return None
        length, start = data[1] & 0x7F, 2
        if length == 126:
            length, start = int.from_bytes(data[2:4], "big"), 4
        elif length == 127:
            length, start = int.from_bytes(data[2:10], "big"), 10
        masked = data[1] & 0x80
        stop = start + (4 if masked else 0) + length
        if len(data) < stop:
            return None
        payload = data[stop - length : stop]
        if masked:
            payload = mask(payload, data[start : start + 4])
        self.buffer = data[stop:]
        return data[0] & 0x0F, payload

    def _send(self, data: bytes) -> None:
        self.sock.setblocking(True)
        self.sock.sendall(data)
        self.sock.setblocking(False)


def fields_of(payload: bytes) -> dict[bytes, bytes]:
    """What a WebSocket request asks for."""
    return {name: found[1] for name, p in TEXT.items() if (found := p.search(payload))}


def mask(payload: bytes, key: bytes) -> bytes:
    """XOR with a repeated four-byte key (RFC 6455 §5.3)."""
    repeated = key * (len(payload) // 4) + key[: len(payload) % 4]
    mixed = int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")
    return mixed.to_bytes(len(payload), "little")


def server_frame(payload: bytes, opcode: int = 1) -> bytes:
    """An unmasked, final frame."""
    if len(payload) < 126:
        return bytes((0x80 | opcode, len(payload))) + payload
    if len(payload) >= 1 << 16:
        return bytes((0x80 | opcode, 127)) + len(payload).to_bytes(8, "big") + payload
    return bytes((0x80 | opcode, 126)) + len(payload).to_bytes(2, "big") + payload


class Venue:
    """Everything that the connections share, and the market's clockwork."""

    def __init__(self, args: argparse.Namespace) -> None:
        symbols = tuple(args.symbols.split(","))
        self.times: dict[str, int] = {}
        self.book = SpinBook(json.loads(args.balances) if args.balances else None)
        self.exchange_info = exchange_info(symbols, args.others)
        self.streams: list[Connection] = []
        self._symbols = symbols
        self._tick_ns = 1_000_000_000 // args.ticks if args.ticks else 0
        self._next_tick_ns = time.perf_counter_ns()
        self._ticks = 0
        self._triggers_left = 0
        self._triggered_ns: list[int] = []

    def told(self, asked: str) -> bytes:
        """The bench asks for facts, or for triggers: `triggers/200`."""
        if asked.startswith("triggers/"):
            self._triggers_left, self._triggered_ns = int(asked.partition("/")[2]), []
        facts: dict[str, Any] = {
            "triggers_left": self._triggers_left,
            "answered": len(self.book.placed_ns),
        }
        if asked == "facts":
            facts |= {**self.book.facts(), "triggered_ns": self._triggered_ns}
            self._triggered_ns = []
        return json.dumps(facts).encode()

    def tick(self, now_ns: int) -> None:
        """Send the next tick if it is due: one in `TRIGGER_EVERY` is a trigger while any is left.

        A trigger is the first symbol's, and waits until the one before it is answered; meanwhile
        the symbol has no other ticks, so that no trigger can be merged with a newer one.
        """
        if not self._tick_ns or now_ns < self._next_tick_ns:
            return
        self._next_tick_ns = max(self._next_tick_ns + self._tick_ns, now_ns - 10 * self._tick_ns)
        self.streams = [one for one in self.streams if not one.is_over]
        if not self.streams:
            return
        self._ticks += 1
        number, symbol = self._ticks, self._symbols[self._ticks % len(self._symbols)]
        due = bool(self._triggers_left) and self._ticks % TRIGGER_EVERY == 0
        is_trigger = due and len(self.book.placed_ns) >= len(self._triggered_ns)
        if is_trigger:
            number, symbol = TRIGGER_UPDATE_ID + self._ticks, self._symbols[0]
        elif symbol == self._symbols[0] and self._is_busy() and len(self._symbols) > 1:
            symbol = self._symbols[1]
        frame = server_frame(ticker(symbol, number))
        if is_trigger:
            self._triggers_left -= 1
            self._triggered_ns.append(time.perf_counter_ns())
        for stream in self.streams:
            stream.push(frame)

    def _is_busy(self) -> bool:
        """Whether triggers are to come, or the last one is unanswered."""
        return bool(self._triggers_left) or len(self.book.placed_ns) < len(self._triggered_ns)


def ticker(symbol: str, update_id: int) -> bytes:
    """A combined bookTicker frame (binance-spot.md §9)."""
    cents = update_id % 100
    return (
        f'{{"stream":"{symbol.lower()}@bookTicker","data":{{"u":{update_id},"s":"{symbol}",'
        f'"b":"250.{cents:02}000000","B":"31.21000000","a":"251.{cents:02}000000",'
        f'"A":"40.66000000"}}}}'
    ).encode()


def serve(listener: socket.socket, venue: Venue) -> None:
    """Spin until the parent process is gone."""
    parent = os.getppid()
    connections: list[Connection] = []
    spins = 0
    while True:
        spins += 1
        if spins % SPINS_BETWEEN_ACCEPTS == 0 or not connections:
            try:
                sock, _ = listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections.append(Connection(sock, venue))
            except BlockingIOError:
                if os.getppid() != parent:
                    return
        venue.tick(time.perf_counter_ns())
        for connection in tuple(
            connections if spins % SPINS_BETWEEN_ROUNDS == 0 else connections[:1]
        ):
            if not look(connection, connections):
                connection.is_over = True
                connection.sock.close()
                connections.remove(connection)


def look(connection: Connection, connections: list[Connection]) -> bool:
    """Take what has arrived; false when the connection is over. The active one comes first."""
    try:
        data = connection.sock.recv(RECV_BYTES)
        now_ns = time.perf_counter_ns()
        if not data:
            return False
        connection.feed(data, now_ns)
    except BlockingIOError:
        return not connection.is_over
    except OSError:
        return False
    if connection is not connections[0]:
        connections.remove(connection)
        connections.insert(0, connection)
    return not connection.is_over


def main() -> None:
    """Bind a free loopback port, say which, and spin."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--core", type=int, default=-1)
    parser.add_argument("--symbols", default="BTCUSDT")
    parser.add_argument("--others", type=int, default=0, help="symbols that nobody trades")
    parser.add_argument("--ticks", type=int, default=0, help="per second, to every market stream")
    parser.add_argument("--balances", default="", help="JSON: asset to free amount")
    args = parser.parse_args()
    if args.core >= 0:
        os.sched_setaffinity(0, {args.core})
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    sys.stdout.write(json.dumps({"port": listener.getsockname()[1], "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    venue = Venue(args)
    gc.collect()
    gc.freeze()
    gc.disable()
    serve(listener, venue)


if __name__ == "__main__":
    main()
