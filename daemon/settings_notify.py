"""`[notify]`: who is told of a halt, a kill or a full cap, and when."""

import re
from datetime import UTC, time, tzinfo
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator

from daemon.settings_base import Frozen, Place

URLS_MAX = 8
_HOURS = re.compile(r"^(\d\d:\d\d)-(\d\d:\d\d)$")


class NotifySettings(Frozen):
    """`[notify]`: messages to Telegram, Slack, mail, ntfy and others, by Apprise's urls."""

    urls: Annotated[tuple[SecretStr, ...], Field(strict=False, max_length=URLS_MAX)] = ()
    """One url of Apprise for each service; needs `seatrial[notify]`. A url holds a token, so the
    configuration may then not be readable by everybody."""
    urls_file: Place | None = None
    """A file, mode 0600, with one url a line, instead of `urls`. The systemd credential
    `notify_urls` goes first."""
    level: Literal["info", "warning", "critical"] = "info"
    """The least that is sent. `info`: sessions; `warning`: caps, bots, reconnects, crashes;
    `critical`: halts, kills, latches, incidents."""
    cap_percent: Annotated[int, Field(ge=20, le=100)] = 90
    """A cap is told of when so much of it is used; again after it fell ten below that."""
    quiet_hours: str = ""
    """`22:00-07:00`: what is not critical waits until they are over."""
    quiet_zone: str = "UTC"
    """The time zone of `quiet_hours`, as in `Europe/Berlin`."""

    @field_validator("quiet_hours")
    @classmethod
    def _are_hours(cls, text: str) -> str:
        if text:
            hours_of(text)
        return text

    @field_validator("quiet_zone")
    @classmethod
    def _is_zone(cls, name: str) -> str:
        try:
            zone_of(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"{name!r} is no time zone that this machine knows; write UTC, or Europe/Berlin "
                "where the package tzdata is installed"
            ) from None
        return name


def zone_of(name: str) -> tzinfo:
    """The time zone of that name. A bare machine has no database of them: UTC needs none.

    Raises:
        ZoneInfoNotFoundError, ValueError, OSError: the machine knows none.
    """
    return UTC if name == "UTC" else ZoneInfo(name)


def hours_of(text: str) -> tuple[time, time]:
    """Begin and end of `22:00-07:00`.

    Raises:
        ValueError: it is not written so.
    """
    match = _HOURS.match(text)
    try:
        if match:
            return time.fromisoformat(match[1]), time.fromisoformat(match[2])
    except ValueError:
        pass
    raise ValueError(f"{text!r}: write begin and end as in 22:00-07:00")
