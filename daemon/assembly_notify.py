"""Builds what tells people who are not looking (`[notify]`); a composition root."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from daemon.settings import Settings
from daemon.settings_notify import NotifySettings
from daemon.shell.health.notice_sender import (
    AppriseService,
    Channel,
    NoticeSender,
    QuietHours,
    shown,
)
from daemon.shell.health.notices import NoticeLevel, after_crash
from daemon.shell.journal.segments import newest_lines, segments
from daemon.shell.keys.notify_urls import notify_urls
from daemon.shell.process.clock import SystemClock
from daemon.shell.stop.process_end import EXIT_CRASH

INSTALL = ".venv/bin/pip install -e '.[notify]' in the clone"
_USUAL = frozenset(
    {
        "discord", "gotify", "gotifys", "http", "https", "json", "jsons", "mailto", "mailtos",
        "matrix", "matrixs", "mmost", "mmosts", "ntfy", "ntfys", "opsgenie", "pagerduty", "pover",
        "rocket", "rockets", "signal", "signals", "slack", "tgram", "twilio", "xml", "xmls",
    }
)  # fmt: skip
"""Some of Apprise's kinds of url, to judge one where Apprise itself is not there."""


class AppriseAbsentError(ValueError):
    """There are urls, and Apprise is not installed."""

    def __init__(self, urls: Sequence[str]) -> None:
        """Judge the urls by their schemes alone."""
        super().__init__(
            f"notify: urls are set, but Apprise is not installed; {INSTALL}, or remove them"
        )
        self.doubts = [
            f"{shown(number, url)}: is none of the usual kinds of url, as tgram://, slack://, "
            "mailtos:// or ntfys://; Apprise, once installed, can tell"
            for number, url in enumerate(urls, 1)
            if not url.partition("://")[2] or url.partition("://")[0].lower() not in _USUAL
        ]


def notice_sender(
    settings: Settings, run_id: str, status: Callable[[], Mapping[str, Any]]
) -> NoticeSender:
    """The sender of this daemon; one without a channel where nobody is to be told.

    `status` is the last published status. Where the last run has no end, it tells so first: call it
    before this run writes a line.

    Raises:
        ValueError: there are urls, and Apprise is not installed.
        CredentialsRefused: the urls cannot be read.
    """
    notify = settings.notify
    prefix = f"[seatrial {run_id.partition('-')[0]} {settings.venue.environment}]"
    sender = NoticeSender(
        _channels_of(notify, prefix),
        cap_percent=notify.cap_percent,
        level=NoticeLevel[notify.level.upper()],
        status=status,
    )
    if not _ended_in_order(settings.state_dir / "journal"):
        sender.tell(after_crash(SystemClock().now_ns(), run_id))
    return sender


def services_of(notify: NotifySettings) -> list[tuple[str, AppriseService]]:
    """What may be shown of each url, and its service.

    Raises:
        ValueError, CredentialsRefused: as `notice_sender`.
    """
    urls = notify_urls(notify)
    if urls and importlib.util.find_spec("apprise") is None:
        raise AppriseAbsentError(urls)
    return [(shown(number, url), AppriseService(url)) for number, url in enumerate(urls, 1)]


def _channels_of(notify: NotifySettings, prefix: str) -> list[Channel]:
    quiet = QuietHours(notify.quiet_hours, notify.quiet_zone)
    return [
        Channel(name, service, is_quiet=quiet.hold, prefix=prefix)
        for name, service in services_of(notify)
    ]


def _ended_in_order(journal: Path) -> bool:
    """Whether the last run wrote its end, and no crash as its end; true where there was none."""
    found = segments(journal)
    last = newest_lines(found[-1], 1, bool) if found else []
    if not last:
        return True
    return b'"event_type":"run_stop"' in last[0] and b'"exit_code":%d,' % EXIT_CRASH not in last[0]
