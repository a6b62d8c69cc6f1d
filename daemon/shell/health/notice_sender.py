"""Sends notices to the services of `[notify]`, through Apprise.

Rules of this file:
1. The main loop puts a notice into a bounded queue and waits for nothing. Each service has a thread
   and a queue of its own: one that is dead delays no other.
2. A full queue drops what matters least, and counts it. What is critical is not held back by quiet
   hours.
3. Apprise runs in a process of its own for each message (`notify_child.py`), with a deadline and a
   bound on its memory: a service that answers without an end takes nothing from the daemon.
4. A url holds a token. No text from here shows more of it than its number and its scheme.
"""

import json
import logging
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from control.status_snapshot import caps_rows
from daemon.model.records import EventType
from daemon.settings_notify import hours_of, zone_of
from daemon.shell.health import notify_child
from daemon.shell.health.notices import FullCaps, Notice, NoticeLevel, NoticeWriter
from daemon.shell.process.clock import SystemClock

log = logging.getLogger("seatriald.notify")

QUEUE_MAX = 64
RETRY_S = (2.0, 10.0, 30.0)
SEND_S = 15.0
READ_S = 60.0
"""No service is asked: only a busy machine makes it long."""
QUIET_LOOK_S = 30.0
CAPS_LOOK_S = 1.0
START_LOOKS, START_LOOK_S = 50, 0.2
STOP_S = 3.0
_NS = 1_000_000_000


class NotSentError(Exception):
    """A message was not taken; the text says why, and shows no url."""


class Service(Protocol):
    """One address that messages go to."""

    def send(self, notice: Notice, title: str) -> None:
        """Hand it over; blocks for `SEND_S` at most.

        Raises:
            NotSentError: the service did not take it.
        """

    def problem(self) -> str:
        """Why no message could go to its url; empty: it can be read. Nothing is sent."""

    def stop(self) -> None:
        """Give up what is under way; from another thread."""


class AppriseService:
    """A service of Apprise, by its url. Each message is sent by a process of its own."""

    def __init__(self, url: str) -> None:
        """Nothing is started yet."""
        self._url = url
        self._child: subprocess.Popen[bytes] | None = None

    def send(self, notice: Notice, title: str) -> None:
        """Start the process, wait for it until the deadline, and kill it then."""
        told = {"title": title, "body": notice.body or "-", "level": notice.level}
        self._run(told, within_s=SEND_S)

    def problem(self) -> str:
        """Have Apprise read the url."""
        try:
            self._run({}, within_s=READ_S)
        except NotSentError as error:
            return str(error)
        return ""

    def _run(self, told: Mapping[str, Any], *, within_s: float) -> None:
        try:
            child = self._child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", notify_child.__name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise NotSentError(f"no process for it: {error.strerror}") from None
        try:
            child.communicate(json.dumps({"url": self._url, **told}).encode(), timeout=within_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            raise NotSentError(f"no answer in {within_s:.0f} s") from None
        if child.returncode == notify_child.NO_SERVICE:
            raise NotSentError("Apprise knows no such url: see its kind and form at appriseit.com")
        if child.returncode != notify_child.SENT:
            raise NotSentError("refused or not reached")

    def stop(self) -> None:
        """Kill the process that sends."""
        child = self._child
        if child is not None and child.poll() is None:
            child.kill()


class QuietHours:
    """From begin to end of the local day; over midnight where the end is earlier; or never."""

    def __init__(self, hours: str, zone: str) -> None:
        """`hours` as in the configuration; `zone` is a name of the IANA database."""
        self._hours = hours_of(hours) if hours else None
        self._zone = zone_of(zone) if hours else UTC

    def hold(self, now_ns: int) -> bool:
        """Whether this moment is quiet."""
        if self._hours is None:
            return False
        begin, end = self._hours
        now = datetime.fromtimestamp(now_ns / _NS, self._zone).time()
        return begin <= now < end if begin <= end else now >= begin or now < end


class Channel:
    """The thread and the queue of one service."""

    def __init__(
        self,
        name: str,
        service: Service,
        *,
        is_quiet: Callable[[int], bool],
        prefix: str,
    ) -> None:
        """Nothing runs before `start`; `name` is what status and logs show of the url."""
        self._name = name
        self._service = service
        self._is_quiet = is_quiet
        self._prefix = prefix
        self._clock = SystemClock()
        self._changed = threading.Condition()
        self._waiting: deque[Notice] = deque()
        self._ending = threading.Event()
        self._sent = self._failed = self._dropped = 0
        self._last_sent_ns = 0
        self._problem = ""
        self._thread = threading.Thread(target=self._run, name=f"notify-{name}", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Let it send what is there, for a short while."""
        with self._changed:
            self._ending.set()
            self._changed.notify()

    def join(self, seconds: float) -> None:
        """Wait for its end; what is still under way then is given up."""
        if self._thread.is_alive():
            self._thread.join(seconds)
            self._service.stop()

    def offer(self, notice: Notice) -> None:
        """Queue it; where the queue is full the oldest of the least level is dropped."""
        with self._changed:
            self._waiting.append(notice)
            if len(self._waiting) > QUEUE_MAX:
                self._waiting.remove(min(self._waiting, key=lambda one: one.level))
                self._dropped += 1
            self._changed.notify()

    def status(self) -> Mapping[str, Any]:
        """What `status` shows of it."""
        return {
            "service": self._name,
            "waiting": len(self._waiting),
            "sent": self._sent,
            "failed": self._failed,
            "dropped": self._dropped,
            "last_sent_ns": self._last_sent_ns,
            "problem": self._problem,
        }

    def _run(self) -> None:
        if problem := self._service.problem():
            self._problem = problem
            log.error("notify %s: nothing can be sent: %s; mend notify.urls", self._name, problem)
        while (notice := self._next()) is not None:
            self._send(notice)

    def _next(self) -> Notice | None:
        """The next that may go now; None at the end."""
        with self._changed:
            while True:
                is_quiet = self._is_quiet(self._clock.now_ns())
                for notice in self._waiting:
                    if notice.level is NoticeLevel.CRITICAL or not is_quiet:
                        self._waiting.remove(notice)
                        return notice
                if self._ending.is_set():
                    return None
                self._changed.wait(QUIET_LOOK_S if self._waiting else None)

    def _send(self, notice: Notice) -> None:
        for wait_s in (*RETRY_S, 0.0):
            try:
                self._service.send(notice, f"{self._prefix} {notice.title}")
            except NotSentError as error:
                self._problem = str(error)
            else:
                self._sent += 1
                self._last_sent_ns, self._problem = self._clock.now_ns(), ""
                return
            if self._ending.wait(wait_s):
                break
        self._failed += 1
        log.warning("notify %s: not sent, %s: %s", self._name, self._problem, notice.title)


class NoticeSender:
    """A `RecordSink` on the main loop, a channel for each service, and a look at the caps' use."""

    def __init__(
        self,
        channels: Sequence[Channel],
        *,
        cap_percent: int,
        level: NoticeLevel,
        status: Callable[[], Mapping[str, Any]],
    ) -> None:
        """Only notices of `level` and above are sent; `status` is the last published one."""
        self._channels = tuple(channels)
        self._writer = NoticeWriter()
        self.hears: frozenset[EventType] = self._writer.hears if channels else frozenset()
        self._full_caps = FullCaps(cap_percent)
        self._level = level
        self._status = status
        self._ending = threading.Event()
        self._watch = threading.Thread(target=self._watch_caps, name="notify-caps", daemon=True)

    def on_record(self, event_type: EventType, fields: Mapping[str, Any], ts_ns: int) -> None:
        """One line was appended to the journal; nothing is waited for."""
        notice = self._writer.notice_of(event_type, fields, ts_ns)
        if notice is not None:
            self.tell(notice)

    def tell(self, notice: Notice) -> None:
        """Queue it for every service."""
        if notice.level >= self._level:
            for channel in self._channels:
                channel.offer(notice)

    def start(self) -> None:
        """Begin; the services are made once the gate is ready, or after a while."""
        if self._channels:
            self._watch.start()

    def _watch_caps(self) -> None:
        for _ in range(START_LOOKS):
            if self._status().get("gate_state") == "READY" or self._ending.wait(START_LOOK_S):
                break
        for channel in self._channels:
            channel.start()
        clock = SystemClock()
        while not self._ending.wait(CAPS_LOOK_S):
            for notice in self._full_caps.look(caps_rows(self._status()), clock.now_ns()):
                self.tell(notice)

    def stop(self) -> None:
        """Let the channels send what is there, for a short while, all at the same time."""
        self._ending.set()
        if self._watch.is_alive():
            self._watch.join(STOP_S)
        for channel in self._channels:
            channel.stop()
        clock = SystemClock()
        until_ns = clock.monotonic_ns() + int(STOP_S * _NS)
        for channel in self._channels:
            channel.join(max(0, until_ns - clock.monotonic_ns()) / _NS)

    def status(self) -> Mapping[str, Any]:
        """The part `notify` of the status; nothing where there is no service."""
        if not self._channels:
            return {}
        return {"notify": [channel.status() for channel in self._channels]}


def shown(number: int, url: str) -> str:
    """What may be seen of a url: which one it is, and its kind of service."""
    scheme, sign, _ = url.partition("://")
    return f"{number}:{scheme.lower() if sign and scheme.isalnum() else 'url'}"
