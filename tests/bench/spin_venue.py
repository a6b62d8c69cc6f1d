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

from daemon.shell.clock import SystemClock

CLOCK = SystemClock()
WS_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
WS_ID = re.compile(rb'"newClientOrderId":\s*"([^"]+)"')
REST_ID = re.compile(rb"newClientOrderId=([^&\s]+)")
REQUEST_ID = re.compile(rb'"id":\s*("[^"]*"|\d+)')
METHOD = re.compile(rb'"method":\s*"([^"]+)"')
FIELD = {
    name: re.compile(rb'"%b":\s*"?([^",}]*)' % name)
    for name in (b"symbol", b"side", b"type", b"price", b"quantity", b"timeInForce")
}
SPINS_BETWEEN_ACCEPTS = 256
SPINS_BETWEEN_ROUNDS = 32
"""The last active connection is looked at in every spin, the others once in so many."""
LIMITS = [
    {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": 1_000_000_000}
    for kind, interval, number in (
        ("REQUEST_WEIGHT", "MINUTE", 1),
        ("ORDERS", "SECOND", 10),
        ("ORDERS", "DAY", 1),
        ("RAW_REQUESTS", "MINUTE", 5),
    )
]
EXCHANGE_INFO = {
    "timezone": "UTC",
    "rateLimits": LIMITS,
    "exchangeFilters": [],
    "symbols": [
        {
            "symbol": "BTCUSDT",
            "status": "TRADING",
            "baseAsset": "BTC",
            "baseAssetPrecision": 8,
            "quoteAsset": "USDT",
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
            "isSpotTradingAllowed": True,
            "filters": [
                {
                    "filterType": "PRICE_FILTER",
                    "minPrice": "0.01",
                    "maxPrice": "1000000.00",
                    "tickSize": "0.01",
                },
                {
                    "filterType": "LOT_SIZE",
                    "minQty": "0.00001",
                    "maxQty": "9000.00",
                    "stepSize": "0.00001",
                },
                {
                    "filterType": "NOTIONAL",
                    "minNotional": "5.00",
                    "applyMinToMarket": True,
                    "maxNotional": "9000000.00",
                    "applyMaxToMarket": False,
                    "avgPriceMins": 5,
                },
                {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            ],
        }
    ],
}
RECV_BYTES = 1 << 18


class Connection:
    """One client: an HTTP request line at first, a WebSocket after an upgrade."""

    def __init__(self, sock: socket.socket, times: dict[str, int]) -> None:
        self.sock = sock
        self.times = times
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
        if request.startswith(b"GET /times"):
            body = json.dumps(self.times).encode()
            self.times.clear()
        elif request.startswith(b"GET /api/v3/time"):
            body = b'{"serverTime":%d}' % (CLOCK.now_ns() // 1_000_000)
        elif request.startswith(b"GET /api/v3/exchangeInfo"):
            body = json.dumps(EXCHANGE_INFO).encode()
        else:
            found = REST_ID.search(request)
            if found:
                self.times[found[1].decode()] = now_ns
            body = order_reply(found[1] if found else b"", request)
        self._send(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (len(body), body)
        )

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
                found = WS_ID.search(payload)
                if found:
                    self.times[found[1].decode()] = now_ns
                out.append(server_frame(websocket_reply(payload, found[1] if found else b"")))
        if out:
            self._send(b"".join(out))

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


def mask(payload: bytes, key: bytes) -> bytes:
    """XOR with a repeated four-byte key (RFC 6455 §5.3)."""
    repeated = key * (len(payload) // 4) + key[: len(payload) % 4]
    mixed = int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")
    return mixed.to_bytes(len(payload), "little")


def server_frame(payload: bytes, opcode: int = 1) -> bytes:
    """An unmasked, final frame."""
    if len(payload) < 126:
        return bytes((0x80 | opcode, len(payload))) + payload
    return bytes((0x80 | opcode, 126)) + len(payload).to_bytes(2, "big") + payload


def websocket_reply(payload: bytes, client_order_id: bytes) -> bytes:
    """The answer to one WebSocket API request."""
    request_id = REQUEST_ID.search(payload)
    method = METHOD.search(payload)
    kind = method[1] if method else b""
    if kind in (b"order.place", b"order.cancel"):
        result = order_reply(client_order_id, payload)
    elif kind == b"time":
        result = b'{"serverTime":%d}' % (CLOCK.now_ns() // 1_000_000)
    elif kind.startswith(b"userDataStream.subscribe"):
        result = b'{"subscriptionId":0}'
    else:
        result = b"{}"
    return b'{"id":%b,"status":200,"result":%b,"rateLimits":[]}' % (
        request_id[1] if request_id else b"null",
        result,
    )


def order_reply(client_order_id: bytes, request: bytes) -> bytes:
    """An accepted order in the venue's words (binance-spot.md §5), echoing what was asked."""
    found = {name: match[1] for name, p in FIELD.items() if (match := p.search(request))}
    return (
        b'{"symbol":"%b","orderId":1,"orderListId":-1,"clientOrderId":"%b","transactTime":%d,'
        b'"price":"%b","origQty":"%b","executedQty":"0","origQuoteOrderQty":"0",'
        b'"cummulativeQuoteQty":"0","status":"NEW","timeInForce":"%b","type":"%b","side":"%b",'
        b'"workingTime":1,"selfTradePreventionMode":"NONE","fills":[]}'
    ) % (
        found.get(b"symbol") or b"BTCUSDT",
        client_order_id,
        CLOCK.now_ns() // 1_000_000,
        found.get(b"price") or b"0",
        found.get(b"quantity") or b"0",
        found.get(b"timeInForce") or b"GTC",
        found.get(b"type") or b"LIMIT",
        found.get(b"side") or b"BUY",
    )


def serve(listener: socket.socket) -> None:
    """Spin until the parent process is gone."""
    parent = os.getppid()
    times: dict[str, int] = {}
    connections: list[Connection] = []
    spins = 0
    while True:
        spins += 1
        if spins % SPINS_BETWEEN_ACCEPTS == 0 or not connections:
            try:
                sock, _ = listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections.append(Connection(sock, times))
            except BlockingIOError:
                if os.getppid() != parent:
                    return
        looked_at = connections if spins % SPINS_BETWEEN_ROUNDS == 0 else connections[:1]
        for connection in tuple(looked_at):
            try:
                data = connection.sock.recv(RECV_BYTES)
                now_ns = time.perf_counter_ns()
                if data:
                    connection.feed(data, now_ns)
                    if not connection.is_over:
                        if connection is not connections[0]:
                            connections.remove(connection)
                            connections.insert(0, connection)
                        continue
            except BlockingIOError:
                continue
            except OSError:
                pass
            connection.sock.close()
            connections.remove(connection)


def main() -> None:
    """Bind a free loopback port, say which, and spin."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--core", type=int, default=-1)
    args = parser.parse_args()
    if args.core >= 0:
        os.sched_setaffinity(0, {args.core})
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    sys.stdout.write(json.dumps({"port": listener.getsockname()[1], "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    gc.collect()
    gc.freeze()
    gc.disable()
    serve(listener)


if __name__ == "__main__":
    main()
