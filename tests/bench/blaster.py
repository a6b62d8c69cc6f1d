"""A venue that only talks: prebuilt bookTicker frames, as fast as the socket takes them.

Every connection gets `--frames` frames after its WebSocket handshake and is then held open until
the client goes. Run as a process: prints `{"port": N}` and ends with its parent.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import socket
import sys

from tests.bench.spin_venue import WS_GUID, server_frame, ticker
from tests.support.stop_stage import SYMBOLS

DISTINCT_FRAMES = 10_000
"""Then they come again: every symbol's top changes with every frame of its own."""


def frames(count: int) -> bytes:
    """`count` combined bookTicker frames, symbol after symbol, as the venue writes them."""
    return b"".join(
        server_frame(ticker(SYMBOLS[number % len(SYMBOLS)], 400_900_000 + number))
        for number in range(count)
    )


def talk(sock: socket.socket, block: bytes, rest: bytes, blocks: int) -> None:
    """Shake hands, send everything, wait for the other side to hang up."""
    head = b""
    while b"\r\n\r\n" not in head:
        more = sock.recv(4_096)
        if not more:
            return
        head += more
    key = re.search(rb"(?i)sec-websocket-key:\s*(\S+)", head)
    assert key is not None
    accept = base64.b64encode(hashlib.sha1(key[1] + WS_GUID).digest())
    sock.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    for _ in range(blocks):
        sock.sendall(block)
    sock.sendall(rest)
    while sock.recv(4_096):
        pass


def main() -> None:
    """Serve one connection after the other."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, required=True)
    parser.add_argument("--core", type=int, default=-1)
    args = parser.parse_args()
    if args.core >= 0:
        os.sched_setaffinity(0, {args.core})
    parent = os.getppid()
    blocks, over = divmod(args.frames, DISTINCT_FRAMES)
    block, rest = frames(DISTINCT_FRAMES if blocks else 0), frames(over)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(1)
    sys.stdout.write(json.dumps({"port": listener.getsockname()[1]}) + "\n")
    sys.stdout.flush()
    while os.getppid() == parent:
        try:
            sock, _ = listener.accept()
        except TimeoutError:
            continue
        with sock:
            try:
                talk(sock, block, rest, blocks)
            except ConnectionError:
                continue


if __name__ == "__main__":
    main()
