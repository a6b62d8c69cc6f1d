"""Ports for servers that a test starts later, or again on the same port.

A port that the kernel gives (port 0) and takes back may be given to anybody before the server that
is meant has it: as the near end of a connection, or to another server. These lie below the kernel's
range, and whoever has one keeps it from the other test processes of this machine until it ends.
"""

import itertools
import os
import random
import socket

FIRST, LAST = 20_000, 29_999
_numbers = itertools.cycle(random.Random(os.getpid()).sample(range(FIRST, LAST + 1), LAST - FIRST))
_kept: list[socket.socket] = []


def kept_port() -> int:
    """A port of loopback that nobody listens on, and that no other test process is given.

    Raises:
        AssertionError: every port of the range is taken.
    """
    for number in itertools.islice(_numbers, LAST - FIRST):
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0seatrial-test-port-{number}")  # gone when this process ends
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", number))
        except OSError:
            mark.close()
            continue
        _kept.append(mark)
        return number
    raise AssertionError(f"no port between {FIRST} and {LAST} is free")
