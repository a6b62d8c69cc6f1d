"""The status snapshot as one screen of 80 columns: what matters first, what is missing left out.

Rules of this file:
1. Text from elsewhere (reasons, messages) is escaped: it cannot move the cursor or add markup.
2. Colour only repeats what the words say.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from control.status_snapshot import (
    cap_changes,
    caps_rows,
    is_resolved,
    open_incidents,
    owner_of,
    rows,
    share_of,
    table,
    tightening_lines,
    warnings_of,
)
from daemon.model.ids import without_digest

ROWS_MAX = 10
CAPS_MAX = 8
BAR_WIDTH = 14
PERCENT_WIDTH = 5
DECIMALS_SHOWN = 8
DAYS_SHOWN_MAX = 9_999
DAYS_WARNING = 14  # as the alert SeatrialJournalDaysLeft
ANCHOR_WARNING_S = 900.0
DISK_WARNING_BYTES = 1e9
LAG_WARNING_MS = 100.0
SILENCE_WARNING_MS = 3_000.0
_EVENT_PLAIN = ("client_order_id", "symbol", "side", "qty", "price")
_EVENT_NAMED = (
    "deny_reason", "why", "trigger", "step", "method", "outcome", "link", "clean",
)  # fmt: skip
_STATE_STYLES = {
    "ACTIVE": "bold green",
    "REDUCING": "bold yellow",
    "HALTED": "bold red",
    "READY": "green",
    "DOWN": "red",
    "STALE": "red",
    "BANNED": "bold red",
}


def clean(value: Any) -> str:
    """Text of a value without control characters."""
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def status_screen(snapshot: Mapping[str, Any]) -> Group:
    """The one screen."""
    parts: list[RenderableType] = [headline(snapshot)]
    parts += alarm_lines(snapshot)
    lines = (activity_line(snapshot), health_line(snapshot), guard_line(snapshot))
    parts += [line for line in lines if line]
    for made in (
        caps_table(snapshot, fullest_caps(snapshot, CAPS_MAX)),
        positions_table(snapshot),
        bots_table(snapshot),
        orders_table(snapshot, ROWS_MAX),
    ):
        if made is not None:
            parts += [Text(""), made]
    return Group(*parts)


def headline(snapshot: Mapping[str, Any]) -> Text:
    """The line with state, gate, environment, session and uptime."""
    state = clean(snapshot.get("trading_state", "?"))
    gate = clean(snapshot.get("gate_state", ""))
    line = Text()
    line.append(f" {state} ", style=f"{_STATE_STYLES.get(state, 'bold')} reverse")
    if gate:
        line.append("  gate ")
        line.append(gate, style=_STATE_STYLES.get(gate, "yellow"))
    where, mode = clean(snapshot.get("environment", "")), clean(snapshot.get("mode", ""))
    line.append(f"  {where}" if where == mode else f"  {where} ({mode})" if mode else f"  {where}")
    session = clean(snapshot.get("session_id") or "")
    line.append(f"  session {session}" if session else "  no session")
    if (uptime_ms := milliseconds(snapshot, "uptime")) is not None:
        line.append(f"  up {duration(uptime_ms / 1_000)}", style="dim")
    return line


def alarm_lines(snapshot: Mapping[str, Any]) -> list[Text]:
    """What an operator must not miss: the latch, open incidents, journal faults."""
    lines: list[Text] = []
    silent_ms = milliseconds(table(snapshot, "control"), "snapshot_age")
    if silent_ms is not None and silent_ms > SILENCE_WARNING_MS:
        text = f"MAIN LOOP SILENT for {duration(silent_ms / 1_000)}: what follows is old"
        lines.append(Text(f"{text}; seatrial kill works", style="bold white on red"))
    latch = snapshot.get("latch")
    if snapshot.get("latched") or (isinstance(latch, Mapping) and latch):
        details = latch if isinstance(latch, Mapping) else {}
        who = clean(details.get("by_name", details.get("by", "")))
        why = clean(details.get("reason", snapshot.get("latch_reason", "")))
        text = "KILL LATCHED"
        text += f" by {who}" if who else ""
        text += f": {why}" if why else ""
        lines.append(Text(f"{text}  (seatrial re-arm --reason … opens it)", style="bold red"))
        for kill in rows(details, "kills")[1:6]:
            also = f"  then by {clean(kill.get('by_name'))}, {clean(kill.get('ts'))}"
            lines.append(Text(f"{also}: {clean(kill.get('reason'))}", style="bold red"))
    for incident in open_incidents(snapshot)[:5]:
        name = clean(incident.get("incident_id", incident.get("id", "?")))
        what = clean(incident.get("msg", incident.get("trigger", "")))
        lines.append(Text(f"INCIDENT {name}: {what}", style="bold red"))
    for name, link in table(table(snapshot, "venue"), "links").items():
        why = clean(link.get("last_error") or "") if isinstance(link, Mapping) else ""
        if why and not link.get("up"):
            lines.append(Text(f"LINK {clean(name)} DOWN: {why}", style="bold red"))
    if paused := clean(table(snapshot, "venue_pause").get("text", "")):
        lines.append(Text(f"PAUSED: {paused}", style="bold white on red"))
    # A gate that is READY has compared the books; what differs keeps the next start away.
    label = "NO START" if snapshot.get("gate_state") == "READY" else "NOT READY"
    lines.extend(
        Text(f"{label} {clean(row.get('text') or '')}", style="bold red")
        for row in rows(snapshot, "not_ready")
    )
    for symbol, why in table(snapshot, "symbols_blocked").items():
        lines.append(Text(f"{clean(symbol)} BLOCKED: {clean(why)}", style="bold red"))
    for asset, why in table(snapshot, "prices_missing").items():
        lines.append(Text(f"NO PRICE of {clean(asset)}: {clean(why)}", style="bold red"))
    fault = clean(snapshot.get("journal_fault") or "")
    if fault or snapshot.get("journal_ok") is False:
        text = "JOURNAL FAULT: no order leaves until it can be written again"
        lines.append(Text(f"{text} ({fault})" if fault else text, style="bold red"))
    return lines + [
        Text(f"WARNING: {clean(warning)}", style="yellow") for warning in warnings_of(snapshot)
    ]


def activity_line(snapshot: Mapping[str, Any]) -> Text | None:
    """Orders, fills, denials, and the result: equity counts from the books' beginning at 0."""
    parts = []
    orders = snapshot.get("orders")
    if isinstance(orders, Mapping):
        counts = [f"{clean(name)} {clean(count)}" for name, count in orders.items() if count]
        parts.append("orders " + (", ".join(counts) or "none"))
    for label, key in (("sent this session", "session_orders"), ("fills", "session_fills")):
        if _number(snapshot.get(key)) is not None:
            parts.append(f"{label} {clean(snapshot[key])}")
    denied = snapshot.get("denied")
    if isinstance(denied, Mapping) and denied:
        reasons = ", ".join(f"{clean(name)} {clean(count)}" for name, count in denied.items())
        parts.append(f"denied {reasons}")
    equity = table(snapshot, "equity")
    if equity:
        unit = clean(equity.get("numeraire", ""))
        parts += [
            f"{label} {amount(equity[key])} {unit}".rstrip()
            for label, key in (("result since start", "equity"), ("drawdown", "drawdown"))
            if equity.get(key) is not None
        ]
    return Text(" · ".join(parts)) if parts else None


def guard_line(snapshot: Mapping[str, Any]) -> Text | None:
    """The keys of a live host, where needed or set; the venue's own net; caps that were set."""
    parts: list[str] = []
    gating = table(snapshot, "gating")
    if any(gating.get(key) is True for key in ("needed", "enabled", "armed")):
        turned = " ".join(
            f"{key}={str(gating.get(key) is True).lower()}" for key in ("enabled", "armed")
        )
        needed = "a start needs a confirm token" if gating.get("needed") else "irrelevant here"
        parts.append(f"gating {turned} ({needed})")
    if switch := clean(snapshot.get("dead_mans_switch") or ""):
        parts.append(f"dead man's switch: {switch.partition(';')[0]}")
    parts += map(clean, tightening_lines(snapshot))
    return Text(" · ".join(parts), style="dim") if parts else None


def health_line(snapshot: Mapping[str, Any]) -> Text | None:
    """Links, lags, journal."""
    line = Text(style="dim")
    parts: list[tuple[str, str]] = []
    for name, state in table(snapshot, "links").items():
        up = state.get("up") if isinstance(state, Mapping) else state
        is_up = up is True or str(up).lower() in {"up", "ready", "connected"}
        parts.append((f"{clean(name)} {'up' if is_up else 'DOWN'}", "" if is_up else "bold red"))
    for label, key in (("queue", "queue_age"), ("loop lag", "loop_lag")):
        if (lag_ms := milliseconds(snapshot, key)) is not None:
            style = "" if lag_ms < LAG_WARNING_MS else "bold red"
            parts.append((f"{label} {lag_ms:.1f} ms", style))
    if (age_ms := _number(table(snapshot, "reconcile").get("clean_age_ms"))) is not None:
        parts.append((f"reconciled {duration(age_ms / 1_000)}", ""))
    ages_ms = [_number(top.get("age_ms")) for top in rows(snapshot, "market")]
    if known := [age_ms for age_ms in ages_ms if age_ms is not None]:
        parts.append((f"data {duration(max(known) / 1_000)}", ""))
    if (seq := snapshot.get("journal_seq")) is not None:
        parts.append(_growth(snapshot, f"journal #{clean(seq)}"))
    if (free := _number(snapshot.get("disk_free_bytes"))) is not None:
        is_low = free < DISK_WARNING_BYTES
        parts.append((f"disk {free / 1e9:.1f} GB left", "bold red" if is_low else ""))
    if (age_s := _number(table(snapshot, "anchors").get("age_s"))) is not None:
        is_old = age_s > ANCHOR_WARNING_S or table(snapshot, "anchors").get("refused")
        parts.append((f"anchored {duration(age_s)}", "bold red" if is_old else ""))
    if port := snapshot.get("metrics_port"):
        parts.append((f"metrics :{clean(port)}", ""))
    if not parts:
        return None
    for index, (text, style) in enumerate(parts):
        line.append(" · " if index else "")
        line.append(text, style=style)
    return line


def _growth(snapshot: Mapping[str, Any], said: str) -> tuple[str, str]:
    """How much disk the journal takes a day and how long it lasts; highlighted when short."""
    size, a_day = (_number(snapshot.get(f"journal_bytes{of}")) for of in ("", "_per_day"))
    days = _number(snapshot.get("journal_days_left"))
    said += "" if size is None else f" {size / 1e6:,.0f} MB"
    said += "" if a_day is None else f", {a_day / 1e6:,.0f} MB a day"
    said += "" if days is None or days > DAYS_SHOWN_MAX else f", {days:,.0f} days left"
    is_short = days is not None and days < DAYS_WARNING
    if is_short:
        keepers = snapshot.get("ticks_kept_for")
        names = ", ".join(map(clean, keepers)) if isinstance(keepers, list) else ""
        said += f" (every tick is kept for {names})" if names else ""
        said += ": `seatrial journal archive` moves the old part away"
    said += " NOT PACKED" if snapshot.get("journal_pack_fault") else ""
    return said, "bold red" if is_short else ""


def caps_table(snapshot: Mapping[str, Any], found: Sequence[Any] = ()) -> Table | None:
    """Each cap (or those of `found`) with its use as a bar; a bot's own are after its name."""
    found = found or caps_rows(snapshot)
    if not found:
        return None
    made = _table("cap", "symbol", ">used", ">limit")
    made.add_column("use")  # the only one that gives way: 80 columns are enough
    numeraire = table(snapshot, "equity").get("numeraire") or snapshot.get("numeraire")
    units = {"numeraire": clean(numeraire or "numeraire")}
    for row in found:
        share, unit = share_of(row), clean(row.get("unit", ""))
        _add_row(
            made,
            _cap_name(row),
            clean(row.get("symbol", "") or ""),
            amount(row.get("used")),
            f"{amount(row.get('limit'))} {units.get(unit, unit)}".rstrip(),
            Gauge(share),
        )
    return made


def small_caps_table(snapshot: Mapping[str, Any], count: int) -> Table | None:
    """The fullest caps in 62 columns, for a screen that is shared."""
    found = fullest_caps(snapshot, count)
    if not found:
        return None
    made = _table("cap", "", ">used / limit", "")
    for row in found:
        _add_row(
            made,
            _cap_name(row),
            clean(row.get("symbol", "") or ""),
            f"{amount(row.get('used'), digits=5)} / {amount(row.get('limit'), digits=5)}",
            bar(share_of(row), width=8),
        )
    return made


def positions_table(snapshot: Mapping[str, Any]) -> Table | None:
    """Each position."""
    value = snapshot.get("positions")
    found: list[tuple[str, Mapping[str, Any]]] = []
    if isinstance(value, Mapping):
        for name, item in value.items():
            found.append((str(name), item if isinstance(item, Mapping) else {"qty": item}))
    else:
        found = [(str(row.get("symbol", "?")), row) for row in rows(snapshot, "positions")]
    if not found:
        return None
    made = _table("position", ">qty", ">average", ">pnl")
    for name, row in found:
        _add_row(
            made,
            clean(name),
            amount(row.get("qty")),
            amount(row.get("avg_px")),
            amount(row.get("realised_pnl")),
        )
    return made


def bots_table(snapshot: Mapping[str, Any]) -> Table | None:
    """Bots behind the gateway: state, orders, what was refused, the longest silence."""
    found, seen = table(snapshot, "bots"), table(snapshot, "bots_seen")
    if not found:
        return None
    made = _table(
        "bot", "state", ">open", ">orders", ">fills", ">denied", ">throttled", ">longest silence"
    )
    for name, row in found.items():
        live, denied = table(seen, name), table(row, "denied")
        silence = _number(live.get("longest_silence_s"))
        _add_row(
            made, clean(name), clean(row.get("state", "?")), clean(row.get("open_orders", "")),
            clean(row.get("orders", "")), clean(row.get("fills", "")),
            clean(sum(int(count) for count in denied.values())),
            clean(live.get("throttled", "")), duration(silence) if silence is not None else "",
        )  # fmt: skip
    return made


def orders_table(snapshot: Mapping[str, Any], limit: int) -> Table | None:
    """Open orders, oldest first, at most `limit`."""
    found = rows(snapshot, "open_orders")
    if not found:
        return None
    made = _table("open order", "symbol", "side", ">qty", ">price", "status")
    for row in found[:limit]:
        _add_row(
            made,
            clean(without_digest(str(row.get("client_order_id", "?")))),
            clean(row.get("symbol", row.get("instrument_id", ""))).partition("@")[0],
            clean(row.get("side", "")),
            amount(row.get("qty")),
            amount(row.get("price")),
            clean(row.get("status", "")) + clean(owner_of(row)),
        )
    if len(found) > limit:
        _add_row(made, f"… {len(found) - limit} more: seatrial orders")
    return made


def incidents_table(found: Iterable[Mapping[str, Any]]) -> Table:
    """Incidents; the words fold. Nothing before them gives way: `incident show` needs the id."""
    found = list(found)
    made = _table("incident", "state", "trigger", "when (UTC) and what")
    ids = [clean(row.get("incident_id", row.get("id", "?"))) for row in found]
    made.columns[0].min_width = max(map(len, ids), default=0)
    made.columns[-1].no_wrap, made.columns[-1].overflow = False, "fold"
    for row in found:
        _add_row(
            made,
            clean(row.get("incident_id", row.get("id", "?"))),
            "resolved" if is_resolved(row) else "OPEN",
            clean(row.get("trigger", "")),
            f"{_time(row.get('opened_ns'))} {clean(row.get('msg', ''))}".strip(),
        )
    return made


def event_line(event: Mapping[str, Any]) -> Text:
    """One journal line for people: time, type, what it is about."""
    if "dropped" in event and "event_type" not in event:
        return Text(f"… {clean(event['dropped'])} events were lost here: too slow", style="yellow")
    kind = clean(event.get("event_type", "?"))
    style = "red" if event.get("is_error") else "yellow" if event.get("is_anomaly") else ""
    line = Text()
    line.append(f"{clean(event.get('seq', '')):>7} ", style="dim")
    line.append(f"{clean(event.get('ts', ''))[11:23]} ", style="dim")
    line.append(f"{kind:<16} ", style=style or "cyan")
    shown = [clean(event[key]) for key in _EVENT_PLAIN if _is_said(event.get(key))]
    if _is_said(event.get("old")) and _is_said(event.get("new")):
        shown.append(f"{clean(event['old'])}→{clean(event['new'])}")
    shown += map(clean, cap_changes(event))
    shown += [f"{key}={clean(event[key])}" for key in _EVENT_NAMED if _is_said(event.get(key))]
    shown += [clean(event[key]) for key in ("reason", "msg") if _is_said(event.get(key))]
    line.append(" ".join(shown), style=style)
    return line


# ---------------------------------------------------------------------- small pieces


def fullest_caps(snapshot: Mapping[str, Any], count: int) -> list[Mapping[str, Any]]:
    """The caps that are nearest to full, fullest first."""
    found = caps_rows(snapshot)
    found.sort(key=lambda row: -(share_of(row) or 0))
    return found[:count]


def _cap_name(row: Mapping[str, Any]) -> str:
    """A cap's name for a narrow column: its unit stands beside the limit already."""
    name = clean(row.get("cap", "?"))
    for word in ("_max", "_numeraire", "_quote", "_base"):
        name = name.removesuffix(word)
    bot = clean(row.get("bot"))
    return f"{bot}: {name}" if bot else name


def bar(share: Decimal | None, width: int = BAR_WIDTH) -> Text:
    """A share as a bar and per cent; red above 90, yellow above 70 (the pre-alert bands)."""
    if share is None:
        return Text("")
    filled = min(width, int(share * width + Decimal("0.5")))
    style = "red" if share >= Decimal("0.9") else "yellow" if share >= Decimal("0.7") else "green"
    made = Text("█" * filled, style=style)
    made.append("░" * (width - filled), style="dim")
    made.append(f" {share * 100:3.0f}%", style=style)
    return made


@dataclass(frozen=True, slots=True)
class Gauge:
    """A bar that is as long as there is room; the per cent is always there."""

    share: Decimal | None

    def __rich_measure__(self, _console: Console, options: ConsoleOptions) -> Measurement:
        """From the per cent alone to the whole bar."""
        return Measurement(PERCENT_WIDTH, BAR_WIDTH + PERCENT_WIDTH).with_maximum(options.max_width)

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """The bar in what is left beside the per cent."""
        yield bar(self.share, width=max(0, min(BAR_WIDTH, options.max_width - PERCENT_WIDTH)))


def amount(value: Any, digits: int = 0) -> str:
    """An amount for people: thousands grouped, at most 8 decimals, no trailing zeros.

    `digits` leaves that many significant ones, where there is little room.
    """
    if value is None or value == "":
        return ""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return clean(value)
    if not number.is_finite():
        return clean(value)
    if number.as_tuple().exponent < -DECIMALS_SHOWN:  # type: ignore[operator]  # it is finite
        number = number.quantize(Decimal(1).scaleb(-DECIMALS_SHOWN))
    if digits and number.adjusted() < digits:
        number = number.quantize(Decimal(1).scaleb(max(number.adjusted(), 0) - digits + 1))
    text = f"{number:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(seconds: float) -> str:
    """`59s`, `12m`, `3h04m`, `5d02h`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3_600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3_600}h{whole % 3_600 // 60:02d}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3_600:02d}h"


def _time(ts_ns: Any) -> str:
    """`11-30 20:04:05`; empty where it is not known."""
    is_known = isinstance(ts_ns, int) and ts_ns > 0
    return f"{datetime.fromtimestamp(ts_ns // 10**9, UTC):%m-%d %H:%M:%S}" if is_known else ""


def _is_said(value: Any) -> bool:
    return value is not None and value != ""


def milliseconds(snapshot: Mapping[str, Any], key: str) -> float | None:
    """A duration that is published as `<key>_ms` or `<key>_s`."""
    if (value_ms := _number(snapshot.get(f"{key}_ms"))) is not None:
        return value_ms
    value_s = _number(snapshot.get(f"{key}_s"))
    return None if value_s is None else value_s * 1_000


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _add_row(made: Table, *cells: str | Text | Gauge) -> None:
    """A row of plain texts: a str would be read as markup."""
    made.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))


def _table(*columns: str) -> Table:
    """An empty table; the cells below a name that begins with `>` stand at the right."""
    made = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in columns:
        side: Literal["left", "right"] = "right" if name.startswith(">") else "left"
        made.add_column(name.removeprefix(">"), justify=side, overflow="ellipsis", no_wrap=True)
    return made
