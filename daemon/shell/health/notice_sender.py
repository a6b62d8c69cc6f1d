"""Sends notices to the services of `[notify]`, through Apprise.

Rules of this file:
1. The main loop puts a notice into a bounded queue and waits for nothing. Each service has a thread
   and a queue of its own: one that is dead delays no other.
2. A full queue drops what matters least, and counts it. What is critical is not held back by quiet
   hours.
3. Apprise is imported by the threads, once the gate is ready or cannot become so; a daemon without
   urls imports none of it.
4. A url holds a token. No text from here shows more of it than its number and its scheme.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from control.status_snapshot import caps_rows
from daemon.model.records import EventType
from daemon.settings_notify import hours_of
from daemon.shell.health.notices import FullCaps, Notice, NoticeLevel, NoticeWriter
from daemon.shell.process.clock import SystemClock

log = logging.getLogger("seatriald.notify")

QUEUE_MAX = 64
TRIES = 4
RETRY_S = (2.0, 10.0, 30.0)
QUIET_LOOK_S = 30.0
CAPS_LOOK_S = 1.0
START_LOOKS, START_LOOK_S = 50, 0.2
STOP_S = 3.0
_NS = 1_000_000_000


class Service(Protocol):
    """One address that messages go to."""

    def send(self, notice: Notice, title: str) -> bool:
        """Whether the service took it; blocks for some seconds at most."""


class AppriseService:
    """A service of Apprise, by its url.

    Raises:
        ValueError: Apprise knows no such url.
    """

    def __init__(self, url: str) -> None:
        """Import Apprise and read the url."""
        # Imported here: a tenth of a second that no daemon without urls should pay.
        import apprise  # noqa: PLC0415 - see above

        # They log urls and tokens, some of them in warnings.
        for name in ("apprise", "urllib3", "requests"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self._types = {
            NoticeLevel.INFO: apprise.NotifyType.INFO,
            NoticeLevel.WARNING: apprise.NotifyType.WARNING,
            NoticeLevel.CRITICAL: apprise.NotifyType.FAILURE,
        }
        self._service = apprise.Apprise()
        if not self._service.add(url):
            raise ValueError("Apprise knows no such url")

    def send(self, notice: Notice, title: str) -> bool:
        """Hand it to the service."""
        kind = self._types[notice.level]
        return bool(self._service.notify(title=title, body=notice.body or "-", notify_type=kind))


class QuietHours:
    """From begin to end of the local day; over midnight where the end is earlier; or never."""

    def __init__(self, hours: str, zone: str) -> None:
        """`hours` as in the configuration; `zone` is a name of the IANA database."""
        self._hours = hours_of(hours) if hours else None
        self._zone = ZoneInfo(zone)

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
        make: Callable[[], Service],
        *,
        is_quiet: Callable[[int], bool],
        prefix: str,
    ) -> None:
        """Nothing runs before `start`; `name` is what status and logs show of the url."""
        self._name = name
        self._make = make
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
        """Wait for its end."""
        if self._thread.is_alive():
            self._thread.join(seconds)

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
        try:
            service = self._make()
        except Exception as error:  # noqa: BLE001 - whatever a plug-in raises, the daemon goes on
            self._problem = f"cannot be used: {type(error).__name__}; seatrial notify test"
            log.error("notify %s: %s", self._name, self._problem)
            return
        while (notice := self._next()) is not None:
            self._send(service, notice)

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

    def _send(self, service: Service, notice: Notice) -> None:
        title = f"{self._prefix} {notice.title}"
        for wait_s in (*RETRY_S, 0.0)[:TRIES]:
            try:
                is_sent = service.send(notice, title)
            except Exception as error:  # noqa: BLE001 - whatever a plug-in raises, the daemon goes on
                is_sent, self._problem = False, f"failed: {type(error).__name__}"
            if is_sent:
                self._sent += 1
                self._last_sent_ns, self._problem = self._clock.now_ns(), ""
                return
            self._problem = self._problem or "refused or not reached"
            if self._ending.wait(wait_s):
                break
        self._failed += 1
        log.warning("notify %s: not sent: %s", self._name, notice.title)


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
        self.hears = frozenset(EventType if channels else ())
        self._writer = NoticeWriter()
        self.hears = self._writer.hears if channels else frozenset()
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
    scheme = url.partition("://")[0].lower()
    return f"{number}:{scheme if scheme.isalnum() else 'url'}"
