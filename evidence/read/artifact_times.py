"""Times of the artifacts: ISO-8601, UTC, ending in `Z`; the one place here that reads a clock."""

from datetime import UTC, datetime

SECONDS_PER_HOUR = 3600.0


def utc_now() -> datetime:
    """The wall clock in whole seconds; each command can replace it by `--now`."""
    return datetime.now(UTC).replace(microsecond=0)


def utc_now_ns() -> int:
    """The wall clock, ns UTC, to the microsecond."""
    since = datetime.now(UTC) - datetime.fromtimestamp(0, UTC)
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1_000


def parse_time(text: object) -> datetime | None:
    """Read an ISO-8601 time; one without a zone is UTC.

    Returns:
        The time in UTC, or None when `text` is not a time (a gate treats that as "no time").
    """
    if not isinstance(text, str) or not text.strip():
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def format_time(moment: datetime) -> str:
    """`2026-01-31T12:00:00Z`; fractions of a second stay when there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def age_hours(now: datetime, then: datetime) -> float:
    """Hours from `then` to `now`; negative when `then` is in the future."""
    return (now - then).total_seconds() / SECONDS_PER_HOUR
