"""Reads the daemon's status snapshot. It alone knows the shape, and tolerates missing parts.

A snapshot may come from another version of the daemon: what is missing is skipped, never an error.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any


def rows(snapshot: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """A list of objects under `key`; a mapping of objects becomes its values."""
    value = snapshot.get(key)
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        return []
    return [row for row in value if isinstance(row, Mapping)]


def table(snapshot: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An object under `key`, or an empty one."""
    value = snapshot.get(key)
    return value if isinstance(value, Mapping) else {}


def owner_of(order: Mapping[str, Any]) -> str:
    """Whose order it is, where a bot's: ` (NAME)`."""
    _, is_bots, name = str(order.get("strategy_id", "")).partition("bot:")
    return f" ({name})" if is_bots else ""


def is_of_bot(order: Mapping[str, Any], bot: str) -> bool:
    """Whether an order is this bot's."""
    return order.get("strategy_id") == f"bot:{bot}"


def caps_rows(snapshot: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Every cap of the account, then every cap of a bot's own, with the bot's name as `bot`."""
    of_bots = [
        {**row, "bot": name}
        for name, bot in table(snapshot, "bots").items()
        if isinstance(bot, Mapping)
        for row in rows(bot, "caps")
    ]
    return [*rows(snapshot, "caps"), *of_bots]


def cap_changes(event: Mapping[str, Any]) -> list[str]:
    """Of a `caps_changed` line: each cap, its value before (where the line has it) and its new."""
    were = table(event, "were")
    return [
        f"{str(cap).removeprefix('symbols.')} {were.get(cap, '')}\N{RIGHTWARDS ARROW}{value}"
        for cap, value in table(event, "changes").items()
    ]


def tightening_lines(snapshot: Mapping[str, Any]) -> list[str]:
    """Which caps `caps set` made stricter, and which of these an edited [caps] has ended."""

    def told(cap: Any) -> str:
        return str(cap).removeprefix("symbols.")

    held = [
        f"{told(row.get('cap'))} {row.get('config')}→{row.get('value')}"
        for row in rows(snapshot, "caps_tightened")
    ]
    ended = [f"{told(cap)} {value}" for cap, value in table(snapshot, "caps_ended").items()]
    lines = [f"tightened by `caps set`: {', '.join(held)}"] if held else []
    if ended:
        lines.append(f"[caps] of the file was edited, which ended `caps set`: {', '.join(ended)}")
    return lines


def warnings_of(snapshot: Mapping[str, Any]) -> list[str]:
    """The daemon's warnings, and each service of `[notify]` that takes nothing now."""
    warnings = snapshot.get("warnings")
    problems = [
        f"notify {row.get('service')}: {row['problem']}"
        for row in rows(snapshot, "notify")
        if row.get("problem")
    ]
    return [*(warnings if isinstance(warnings, list) else []), *problems]


def bot_of_incident(incident: Mapping[str, Any]) -> str:
    """The bot that an incident is about; empty: it is about no single bot."""
    return str(table(incident, "context").get("bot") or "")


def select_incidents(snapshot: Mapping[str, Any], *, unresolved: bool) -> list[Mapping[str, Any]]:
    """The incidents of the snapshot, oldest first."""
    found = sorted(rows(snapshot, "incidents"), key=lambda row: row.get("opened_ns") or 0)
    return [row for row in found if not (unresolved and is_resolved(row))]


def is_resolved(incident: Mapping[str, Any]) -> bool:
    """Whether somebody has closed an incident."""
    return bool(incident.get("resolved") or incident.get("resolved_by"))


def find_incident(snapshot: Mapping[str, Any], incident_id: str) -> Mapping[str, Any] | None:
    """One incident by its id."""
    for row in rows(snapshot, "incidents"):
        if row.get("incident_id", row.get("id")) == incident_id:
            return row
    return None


def open_incidents(snapshot: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The incidents that block the next start."""
    return select_incidents(snapshot, unresolved=True)


def share_of(cap: Mapping[str, Any]) -> Decimal | None:
    """Used part of a cap; None when it cannot be told. Any use of a zero limit is 1: full."""
    try:
        used, limit = abs(Decimal(str(cap.get("used")))), Decimal(str(cap.get("limit")))
    except InvalidOperation:
        return None
    if not used.is_finite() or not limit.is_finite():
        return None
    return used / limit if limit > 0 else Decimal(used > 0)
