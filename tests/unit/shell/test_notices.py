"""Which lines are told to people, when a cap's use is, and what waits in a full queue."""

import threading
import zoneinfo
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from daemon import settings_notify
from daemon.model.records import EventType
from daemon.shell.health.notice_sender import QUEUE_MAX, Channel, QuietHours, shown
from daemon.shell.health.notices import (
    STORM_NS,
    STORM_RECONNECTS,
    FullCaps,
    Notice,
    NoticeLevel,
    NoticeWriter,
)

S_NS = 1_000_000_000
DEADLINE_S = 60


def cap(used: str, limit: str = "100") -> Mapping[str, Any]:
    return {"cap": "orders_per_hour_max", "symbol": "", "used": used, "limit": limit}


def test_a_cap_is_told_of_once_and_again_after_it_fell() -> None:
    full = FullCaps(90)
    told = [bool(full.look([cap(used)], 1)) for used in ("89", "90", "95", "85", "91", "79", "90")]
    assert told == [False, True, False, False, False, False, True]


def test_a_cap_of_zero_and_one_that_cannot_be_read_are_not_told_of() -> None:
    rows = [cap("5", "0"), cap("", "7"), cap("NaN"), {"cap": "x"}]
    assert FullCaps(90).look(rows, 1) == []
    assert len(FullCaps(90).look([cap("-95")], 1)) == 1


def test_a_storm_of_reconnects_is_told_of_once_a_while() -> None:
    writer, line = NoticeWriter(), {"link": "market", "outage_ms": 5}
    quick = [writer.notice_of(EventType.RECONNECT, line, at * S_NS) for at in range(20)]
    assert [at for at, one in enumerate(quick) if one] == [STORM_RECONNECTS - 1]
    slow = NoticeWriter()
    step = STORM_NS // (STORM_RECONNECTS - 2)
    assert not any(slow.notice_of(EventType.RECONNECT, line, at * step) for at in range(20))


@pytest.mark.parametrize(
    ("event", "line", "level", "said"),
    [
        ("trading_state", {"old": "ACTIVE", "new": "HALTED", "why": "x"}, 3, "halted"),
        ("trading_state", {"old": "HALTED", "new": "HALTED", "latched": True}, 3, "latched"),
        ("kill", {"step": "not_verified"}, 3, "NOT verified"),
        ("kill", {"step": "verified_empty", "canceled": 3}, 3, "no order of ours is open"),
        ("incident_opened", {"incident_id": "i-1", "trigger": "position_mismatch"}, 3, "i-1"),
        ("bot_switched", {"bot": "ft", "state": "suspended"}, 2, "bot ft: suspended"),
        ("cap_alert", {"kind": "breach", "cap": "loss_max", "action": "halt"}, 3, "loss_max"),
        ("session_stop", {"session_id": "s1", "duration_ms": 1}, 1, "no incident"),
    ],
)
def test_a_line_is_told_with_its_level(
    event: str, line: Mapping[str, Any], level: int, said: str
) -> None:
    notice = NoticeWriter().notice_of(EventType(event), line, 1)
    assert notice is not None
    assert notice.level == level
    assert said in notice.title


@pytest.mark.parametrize(
    ("event", "line"),
    [
        ("trading_state", {"old": "HALTED", "new": "ACTIVE"}),
        ("bot_switched", {"bot": "ft", "state": "active"}),
        ("cap_alert", {"kind": "alert", "cap": "x", "band": 100, "rising": True}),
        ("fill", {}),
        ("input", {}),
    ],
)
def test_nobody_is_woken_for_it(event: str, line: Mapping[str, Any]) -> None:
    assert NoticeWriter().notice_of(EventType(event), line, 1) is None


@pytest.mark.parametrize(
    ("hours", "zone", "quiet"),
    [
        ("22:00-07:00", "UTC", [True, True, False, False]),
        ("12:00-23:30", "UTC", [False, False, True, True]),
        ("00:00-01:00", "Europe/Berlin", [False, False, False, True]),
        ("", "UTC", [False, False, False, False]),
    ],
)
def test_quiet_hours_are_those_of_the_zone(hours: str, zone: str, quiet: list[bool]) -> None:
    clock = (0, 6), (6, 59), (12, 0), (21, 59)
    if zone != "UTC":
        clock = (0, 6), (6, 59), (12, 0), (23, 30)  # 00:30 in Berlin
    if hours == "12:00-23:30":
        clock = (0, 6), (6, 59), (12, 0), (23, 29)
    at = [int(datetime(2026, 11, 30, *one, tzinfo=UTC).timestamp()) * S_NS for one in clock]
    held = QuietHours(hours, zone)
    assert [held.hold(one) for one in at] == quiet


def test_a_machine_without_time_zones_knows_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> None:
        raise zoneinfo.ZoneInfoNotFoundError(name)

    monkeypatch.setattr(settings_notify, "ZoneInfo", unknown)
    assert QuietHours("00:00-23:59", "UTC").hold(S_NS)
    assert not QuietHours("", "Europe/Berlin").hold(S_NS)
    assert settings_notify.NotifySettings(quiet_zone="UTC").quiet_zone == "UTC"
    with pytest.raises(ValueError, match="where the package tzdata is installed"):
        settings_notify.NotifySettings(quiet_zone="Europe/Berlin")


class Waiting:
    """A service that takes what it gets once it may, and says when it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.changed = threading.Event()
        self.may_go = threading.Event()

    def send(self, notice: Notice, title: str) -> None:
        self.asked.append(title)
        self.changed.set()
        assert self.may_go.wait(DEADLINE_S)

    def problem(self) -> str:
        return ""

    def stop(self) -> None:
        """Nothing is under way."""


def notice(level: NoticeLevel, title: str) -> Notice:
    return Notice(level, title, "", 1)


def test_a_full_queue_drops_what_matters_least() -> None:
    service = Waiting()
    channel = Channel("1:x", service, is_quiet=lambda _ns: False, prefix="")
    for number in range(QUEUE_MAX):
        channel.offer(notice(NoticeLevel.INFO, str(number)))
    for number in range(QUEUE_MAX + 5):
        channel.offer(notice(NoticeLevel.CRITICAL, f"critical {number}"))
    status = channel.status()
    assert (status["waiting"], status["dropped"]) == (QUEUE_MAX, QUEUE_MAX + 5)
    service.may_go.set()
    channel.start()
    channel.stop()
    channel.join(DEADLINE_S)
    assert service.asked == [f" critical {number}" for number in range(5, QUEUE_MAX + 5)]


def test_quiet_hours_hold_all_but_what_is_critical() -> None:
    service = Waiting()
    service.may_go.set()
    channel = Channel("1:x", service, is_quiet=lambda _ns: True, prefix="")
    channel.offer(notice(NoticeLevel.WARNING, "a cap"))
    channel.offer(notice(NoticeLevel.CRITICAL, "a kill"))
    channel.start()
    assert service.changed.wait(DEADLINE_S)
    channel.stop()
    channel.join(DEADLINE_S)
    assert service.asked == [" a kill"]
    assert channel.status()["waiting"] == 1


def test_no_more_of_a_url_is_shown_than_its_kind() -> None:
    assert shown(1, "tgram://123:secret/chat") == "1:tgram"
    assert shown(2, "secret without a scheme") == "2:url"
