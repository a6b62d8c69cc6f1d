"""What a reader of the report looks up: facts at the top, orders with a search, a block to sign.

Rules of this file:
1. It is made of the JSON's plain values; whatever comes from a journal is escaped.
2. The page's one script filters a table. It takes nothing from a journal, and the page's policy
   names it by its hash: no other can run. Without it the table is whole.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from evidence.folds.incident_fold import trigger_text
from evidence.report.report_text import json_of
from evidence.report.svg import span_text

_HASHES = ("commit", "code", "config_hash", "caps_hash", "account")
_NS_PER_S = 1_000_000_000
SCRIPT = """
for (const field of document.querySelectorAll("input[data-table]")) {
  const table = document.getElementById(field.dataset.table).querySelector("table");
  const said = document.getElementById(field.dataset.table + "-said");
  field.closest("p").hidden = false;
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    said.textContent = shown + " of " + table.tBodies[0].rows.length + " shown";
  });
}
"""
SCRIPT_HASH = "sha256-" + base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()


def utc(ts_ns: int) -> str:
    """A moment in UTC, to the second; empty for none."""
    if not ts_ns:
        return ""
    try:
        return datetime.fromtimestamp(ts_ns // _NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return str(ts_ns)


def lines_text(numbers: Iterable[int]) -> str:
    """Numbers of journal lines as they are looked up."""
    return " ".join(f"#{number}" for number in numbers)


def facts(plain: Mapping[str, Any]) -> str:
    """Which session, how long, at which venue, bound to what: under the verdict."""
    cells: list[tuple[str, str]] = []
    for journal in plain["journals"]:
        chain, sessions = journal["integrity"], journal["sessions"]["sessions"]
        for one in sessions[-3:]:
            length = span_text(one["duration_ms"] * 1e6)
            began = utc(one["started_ns"])
            venue = (
                one["exchange"]
                if one["exchange"] == one["mode"]
                else (f"{one['exchange']} ({one['mode']})")
            )
            cells.append((f"session {one['session_id']}",
                          f"{venue}, {length} from {began} UTC, {one['end']}"))  # fmt: skip
        if len(sessions) > 3:
            cells.append(("sessions before", str(len(sessions) - 3)))
        binding = sessions[-1]["binding"] if sessions else {}
        cells += [(name.replace("_", " "), str(binding[name])) for name in _HASHES
                  if binding.get(name)]  # fmt: skip
        cells.append(("last line of the journal", f"#{chain['last_seq']} {chain['head']}"))
    made = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in cells
    )
    return f'<dl class="facts">{made}</dl>' if made else ""


def owners_rows(activity: Mapping[str, Any]) -> list[Sequence[object]]:
    """A row for each strategy and bot."""
    rows: list[Sequence[object]] = []
    for name, one in activity.get("owners", {}).items():
        kind, _, bot = name.partition("bot:")
        rows.append((
            f"bot {bot}" if bot and not kind else name or "(not known)",
            one["approved"], one["denied"], one["rejected"], one["fills"],
            ", ".join(f"{total} {symbol}" for symbol, total in one["turnover"].items()),
            ", ".join(f"{total} {asset}" for asset, total in one["fees"].items()),
            one["errors"],
        ))  # fmt: skip
    return rows


def incident_rows(journal: Mapping[str, Any]) -> list[Sequence[object]]:
    """A row for each incident, with its times and lines."""
    times = journal.get("activity", {}).get("incident_times", {})
    rows: list[Sequence[object]] = []
    for one in journal["incidents"]["incidents"]:
        at = times.get(one["incident_id"], {})
        resolved, opened = at.get("resolved_ns", 0), one["opened_ns"]
        rows.append((
            one["incident_id"], utc(opened), trigger_text(one), one["msg"],
            one["resolved_by"] or "nobody", utc(resolved),
            span_text(resolved - opened) if resolved else "",
            lines_text([one["opened_seq"], *([at["resolved_seq"]] if resolved else [])]),
        ))  # fmt: skip
    return rows


def denied_rows(activity: Mapping[str, Any]) -> list[Sequence[object]]:
    """A row for each of the first denials."""
    return [
        (utc(one["ts_ns"]), one["reason"], one["strategy"], one["symbol"], one["side"], one["qty"],
         one["price"], lines_text([one["seq"]]))
        for one in activity.get("denied", [])
    ]  # fmt: skip


def order_rows(activity: Mapping[str, Any]) -> list[Sequence[object]]:
    """A row for each of the last orders."""
    return [
        (one["client_order_id"], utc(one["approved_ns"]), one["strategy"], one["symbol"],
         one["side"], one["qty"], one["price"], one["filled"], one["state"],
         lines_text(one["lines"]))
        for one in activity.get("orders", [])
    ]  # fmt: skip


def order_table(activity: Mapping[str, Any], number: int, table: str) -> str:
    """The table of orders with a field that filters it."""
    if not table:
        return ""
    name = f"section-orders-{number}"
    left_out = activity["orders_left_out"]
    note = f" The {left_out} orders before them are left out." if left_out else ""
    return (
        f'<div class="long rows" id="{name}"><p class="quiet">Numbers after # are lines of the '
        "journal: <code>grep '\"seq\":NUMBER,' journal/*.jsonl</code> "
        f"(<code>zstdgrep</code> for packed segments).{escape(note)}</p>"
        f'<p hidden><label>Search the orders <input type="search" data-table="{name}" '
        f'autocomplete="off"></label> <span id="{name}-said" role="status"></span></p>{table}</div>'
    )


def sign_off(plain: Mapping[str, Any]) -> str:
    """Room for a human's decision, and the hash that a signature is made over."""
    digest = hashlib.sha256(json_of(plain, indent=2).encode()).hexdigest()
    lines = "".join(
        f'<div><dt>{name}</dt><dd class="blank"></dd></div>'
        for name in ("Name", "Date", "Decision", "Signature")
    )
    return (
        '<section class="sign"><h2>Sign-off</h2><p>The decision is a human\'s. Sign this hash: '
        "the SHA-256 of <code>evidence_report.json</code>, which lies beside this page.</p>"
        f'<p><code class="hash">{digest}</code></p><dl>{lines}</dl></section>'
    )
