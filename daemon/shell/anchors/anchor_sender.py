"""Sends heads of the chain to every sink, on a thread and a loop of its own.

Rules of this file:
1. Orders never wait: the main loop leaves the newest durable head where this thread looks for it.
2. Of each sink the queue is bounded; beyond it the oldest head goes, because a later one covers it.
3. What fails is tried again, ever later. What a sink refuses for ever is not: it is shown until the
   process ends, because somebody must look why it holds another head than we do.
"""

import asyncio
import json
import logging
import random
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from daemon.model.amounts import NS_PER_MS
from daemon.settings_anchors import AnchorSettings
from daemon.shell.anchors.sink import AnchorSink, Head, SinkRefusedError
from daemon.shell.process.clock import SystemClock
from daemon.shell.process.tasks import spawn

log = logging.getLogger("seatriald.anchors")

QUEUED_MAX = 256
RECEIPTS_NAME = "anchor-receipts.jsonl"
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 300.0
END_S = 5.0
"""So long the sinks may take for the last head of a run."""
_JOIN_S = 10.0
_NS_PER_S = 1e9


class JournalHead(Protocol):
    """What is asked of the journal."""

    seq: int
    durable_seq: int

    @property
    def head(self) -> str:
        """The hash of the last line."""

    @property
    def pending_lines(self) -> int:
        """Lines that the kernel does not have yet."""


class AnchorQueue:
    """One sink with its queue and what became of the heads.

    It belongs to the anchors' loop; the figures are read from other threads.
    """

    def __init__(self, name: str, kind: str, period_ns: int, sink: AnchorSink) -> None:
        """Nothing is queued yet."""
        self.name, self.kind, self.sink = name, kind, sink
        self.period_ns = period_ns
        self.heads: deque[Head] = deque(maxlen=QUEUED_MAX)
        self.filled = asyncio.Event()
        self.asked_ns = 0
        self.last_seq = self.acked_seq = self.acked_ns = 0
        self.acked = self.failed = self.dropped = 0
        self.fault = self.refused = ""

    def offer(self, head: Head) -> None:
        """Queue a head that is newer than the last one."""
        if head.seq <= self.last_seq:
            return
        self.last_seq = head.seq
        self.dropped += len(self.heads) == QUEUED_MAX
        self.heads.append(head)
        self.filled.set()

    def status(self, now_ns: int, since_ns: int) -> dict[str, Any]:
        """What the status says of this sink."""
        return {
            "kind": self.kind,
            "acked_seq": self.acked_seq,
            "acked": self.acked,
            "age_s": round((now_ns - (self.acked_ns or since_ns)) / _NS_PER_S, 3),
            "queued": len(self.heads),
            "dropped": self.dropped,
            "failed": self.failed,
            "fault": self.fault,
            "refused": self.refused,
        }


class AnchorSender:
    """The thread. Made where nothing is configured, too, and then does nothing."""

    def __init__(
        self,
        settings: AnchorSettings,
        sinks: Mapping[str, AnchorSink],
        *,
        journal: JournalHead,
        run_id: str,
        state_dir: Path,
    ) -> None:
        """Wire it.

        Args:
            settings: periods and the deadline.
            sinks: one of each name in `settings.sinks`.
            journal: asked on the main loop alone.
            run_id: this boot.
            state_dir: where receipts are kept.
        """
        self._queues = [
            AnchorQueue(name, one.kind, one.period_ms * NS_PER_MS, sinks[name])
            for name, one in settings.sinks.items()
        ]
        self._deadline_s = settings.deadline_ms / 1_000
        self._journal = journal
        self._coming = self._durable = (0, "")
        self._run_id = run_id
        self._receipts = state_dir / RECEIPTS_NAME
        self._random = random.Random(run_id)  # noqa: S311 - jitter of back-off, not a secret
        self._clock = SystemClock()
        self._since_ns = self._clock.monotonic_ns()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due = asyncio.Event()
        self._is_nudged = self._is_ending = False
        self._thread = threading.Thread(target=self._run, name="anchors", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        if self._queues:
            self._thread.start()

    def on_anchor(self, seq: int, head: str) -> None:
        """A head of weight is durable (a boot, a session's end, a kill): send it now."""
        self._durable = max(self._durable, (seq, head))
        self._is_nudged = True
        self._wake()

    def look(self) -> None:
        """Note the newest line that is on the disk, with its hash. On the main loop, each beat.

        A line is noted first, and told to the sinks when it is durable: no anchor outlives it.
        """
        journal, coming = self._journal, self._coming
        if coming[0] <= journal.durable_seq:
            self._durable = max(self._durable, coming)
            if not journal.pending_lines:
                self._coming = (journal.seq, journal.head)

    def stop(self) -> None:
        """Send the last head, and end; what no sink takes within `END_S` stays unsent."""
        self._is_nudged = self._is_ending = True
        self._wake()
        if self._thread.is_alive():
            self._thread.join(timeout=END_S + _JOIN_S)

    def status(self) -> Mapping[str, Any]:
        """Its part of the daemon's status, on the main loop: nothing where there is no sink."""
        if not self._queues:
            return {}
        self.look()
        now_ns = self._clock.monotonic_ns()
        sinks = {one.name: one.status(now_ns, self._since_ns) for one in self._queues}
        return {
            "anchors": {
                "age_s": min(one["age_s"] for one in sinks.values()),
                "acked_seq": max(one["acked_seq"] for one in sinks.values()),
                "refused": sorted(name for name, one in sinks.items() if one["refused"]),
                "sinks": sinks,
            }
        }

    def _wake(self) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._due.set)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception:
            log.exception("anchors are not sent any more; trading goes on")
            for one in self._queues:
                one.fault = "the anchors' thread has ended; see the log"

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            children = [
                spawn(group, self._deliver(one), name=f"anchor-{one.name}") for one in self._queues
            ]
            while not self._is_ending:
                self._take()
                await self._rest()
            self._take()
            await self._empty_queues()
            for child in children:
                child.cancel()
        for one in self._queues:
            await one.sink.close()

    def _take(self) -> None:
        """Offer the newest durable head to the sinks that are due."""
        is_nudged, self._is_nudged = self._is_nudged, False
        seq, digest = self._durable
        now_ns = self._clock.monotonic_ns()
        for one in self._queues:
            if is_nudged or not one.asked_ns or now_ns - one.asked_ns >= one.period_ns:
                one.asked_ns = now_ns
                if seq:
                    one.offer(Head(seq, digest, self._run_id, self._clock.now_ns()))

    async def _rest(self) -> None:
        """Wait until a sink is due, or a nudge."""
        next_ns = min(one.asked_ns + one.period_ns for one in self._queues)
        wait_s = max(0.0, (next_ns - self._clock.monotonic_ns()) / _NS_PER_S)
        try:
            async with asyncio.timeout(wait_s):
                await self._due.wait()
        except TimeoutError:
            return
        self._due.clear()

    async def _empty_queues(self) -> None:
        """Give the sinks a last while; a sink that is in a pause tries at once."""
        for one in self._queues:
            one.filled.set()
        try:
            async with asyncio.timeout(END_S):
                while any(one.heads and not one.refused for one in self._queues):
                    await self._due.wait()
                    self._due.clear()
        except TimeoutError:
            left = [one.name for one in self._queues if one.heads]
            log.warning("the last head was not acknowledged by: %s", ", ".join(left))

    async def _deliver(self, queue: AnchorQueue) -> None:
        """Send what is queued, oldest first, for ever."""
        pause_s = FIRST_PAUSE_S
        while True:
            while not queue.heads:
                queue.filled.clear()
                await queue.filled.wait()
            head = queue.heads[0]
            try:
                async with asyncio.timeout(self._deadline_s):
                    receipt = await queue.sink.send(head)
            except SinkRefusedError as error:
                self._drop(queue, head)
                queue.refused = f"seq {head.seq}: {error}"
                log.error("anchor %s: %s", queue.name, queue.refused)
            except Exception as error:  # noqa: BLE001 - a plugin's; one sink must not end the others
                self._failed(queue, error)
                await self._pause(queue, pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            else:
                pause_s, queue.fault = FIRST_PAUSE_S, ""
                self._keep(queue, head, receipt)
                self._drop(queue, head)

    def _drop(self, queue: AnchorQueue, head: Head) -> None:
        """Take a head that is done with out of the queue; it may have been crowded out already."""
        if queue.heads and queue.heads[0] is head:
            queue.heads.popleft()
        self._due.set()

    def _failed(self, queue: AnchorQueue, error: Exception) -> None:
        queue.failed += 1
        words = str(error) or type(error).__name__
        if isinstance(error, TimeoutError):
            words = f"no answer within {self._deadline_s:g} s"
        if words != queue.fault:
            log.warning("anchor %s is tried again: %s", queue.name, words)
        queue.fault = words

    async def _pause(self, queue: AnchorQueue, pause_s: float) -> None:
        """Wait before the next attempt; the end of a run cuts it short, once."""
        queue.filled.clear()
        try:
            async with asyncio.timeout(pause_s * self._random.uniform(0.5, 1.0)):
                while not self._is_ending:
                    await queue.filled.wait()
                    queue.filled.clear()
        except TimeoutError:
            return

    def _keep(self, queue: AnchorQueue, head: Head, receipt: Mapping[str, Any]) -> None:
        """Keep the receipt on the disk, and then note the acknowledgement."""
        line = {"sink": queue.name, "kind": queue.kind, **head.plain(), "receipt": dict(receipt)}
        try:
            if receipt:
                with self._receipts.open("ab") as out:
                    out.write(json.dumps(line).encode() + b"\n")
        except OSError as error:
            queue.fault = f"{self._receipts}: {error.strerror}; the receipt is lost"
        queue.acked += 1
        queue.acked_seq, queue.acked_ns = head.seq, self._clock.monotonic_ns()
