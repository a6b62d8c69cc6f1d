"""What an anchor sink is: it takes heads, one after the other, and says when one is kept.

Rules of this file:
1. A sink returns when the head is kept there, and raises otherwise; it never tries again by itself.
2. It runs on the loop of the anchors' thread, and may wait there as long as its deadline.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec


class Head(msgspec.Struct, frozen=True):
    """The chain's head at one line: that line is on the disk."""

    seq: int
    head: str
    """SHA-256 (hex) of the line."""
    run_id: str
    ts_ns: int
    """When it was taken, ns UTC."""

    def plain(self) -> dict[str, Any]:
        """As files, webhooks and logs have it, and as `evidence verify --anchors` reads it."""
        return {"seq": self.seq, "head": self.head, "run_id": self.run_id, "ts_ns": self.ts_ns}


class SinkError(Exception):
    """The head is not kept there yet; it is tried again."""


class SinkRefusedError(Exception):
    """The head will never be kept there: the sink holds another one. Somebody must look."""


class AnchorSink(Protocol):
    """One place outside. Made on the main thread, used on the anchors' loop."""

    async def send(self, head: Head) -> Mapping[str, Any]:
        """Have a head kept. Returns the receipt to be kept here; empty where there is none.

        Raises:
            SinkError, OSError, TimeoutError: not kept; try again later.
            SinkRefusedError: it will never be.
        """

    async def close(self) -> None:
        """Release connections."""
