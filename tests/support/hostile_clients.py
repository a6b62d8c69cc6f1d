"""A process of its own that does to a control socket what a broken or angry client would.

    python hostile_clients.py SOCKET CONNECTIONS SEED [UID]

Prints `ready` when it has begun, and goes on until its standard input closes.
"""

import contextlib
import os
import random
import select
import socket
import sys

STATUS = b'{"jsonrpc":"2.0","id":1,"method":"status"}\n'
ATTACKS = (
    b"\x00\xff garbage \n",
    b'{"jsonrpc":"2.0","id":1,"meth',
    b"x" * 70_000,
    b"\n" * 500,
    b"[" * 5_000 + b"\n",
    STATUS * 50,
    b'{"jsonrpc":"2.0","id":1,"method":"cancel-all"}\n' * 30,
    b'{"jsonrpc":"2.0","id":1,"method":"nope"}\n' * 20,
    b'{"jsonrpc":"2.0","id":1,"method":"events","params":{"follow":true}}\n' * 3,
)


def connect(path: str) -> socket.socket | None:
    sock = socket.socket(socket.AF_UNIX)
    sock.setblocking(False)
    try:
        sock.connect(path)
    except OSError:  # the backlog is full: come back
        sock.close()
        return None
    return sock


def main(path: str, count: int, seed: int) -> None:
    chance = random.Random(seed)
    open_socks: list[socket.socket] = []
    announced = False
    attacks = 0
    while True:
        while len(open_socks) < count and (sock := connect(path)) is not None:
            open_socks.append(sock)
        if not open_socks:
            continue
        victim = chance.randrange(len(open_socks))
        sock = open_socks[victim]
        try:
            sock.send(chance.choice(ATTACKS))
            if chance.random() < 0.3:
                sock.recv(100)
        except BlockingIOError:
            pass
        except OSError:
            sock.close()
            open_socks.pop(victim)
        if chance.random() < 0.05 and open_socks:
            open_socks.pop(chance.randrange(len(open_socks))).close()
        attacks += 1
        if not announced and attacks >= count:
            print("ready", flush=True)
            announced = True
        if attacks % 64 == 0 and select.select([sys.stdin], [], [], 0)[0]:
            break
    for sock in open_socks:
        with contextlib.suppress(OSError):
            sock.close()


if __name__ == "__main__":
    if len(sys.argv) > 4:
        os.setgroups([])
        os.setgid(int(sys.argv[4]))
        os.setuid(int(sys.argv[4]))
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
