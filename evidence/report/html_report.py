"""The report as one HTML page: offline, verdict first and then why.

Rules of this file:
1. It is made from the JSON's plain values, like the Markdown: the figures are the same.
2. Whatever comes from a journal is escaped; the page carries a policy that forbids any request.
3. It must read on a phone, on paper, in the dark, by keyboard and by ear.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from evidence.report.html_activity import (
    SCRIPT,
    SCRIPT_HASH,
    denied_rows,
    facts,
    incident_rows,
    order_rows,
    order_table,
    owners_rows,
    sign_off,
)
from evidence.report.html_charts import charts_of
from evidence.report.html_style import STYLE
from evidence.report.side_by_side import differences, sessions_compared, side_by_side_rows

HTML_NAME = "evidence_report.html"
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    f"script-src '{SCRIPT_HASH}'"
)
_WORDS = {
    "OK": "The record is intact, complete and confirmed by the venue's own books.",
    "NO_GO": "Something in the record does not hold. The reasons are listed below.",
    "UNANCHORED": "Nothing speaks against the record, but only its own box vouches for it.",
    "INSUFFICIENT": "Nothing speaks against the record, but not enough speaks for it.",
}
_QUESTIONS = {
    "intact": "Are the bytes as they were written?",
    "complete": "Is anything absent, is every order accounted for, was every cap kept?",
    "corroborated": "Do the venue's own books say the same?",
}


def html_of(plain: Mapping[str, Any]) -> str:
    """The whole page."""
    verdict = str(plain["verdict"])
    body = [
        '<a class="skip" href="#why">Skip to the reasons</a>',
        _header(plain, verdict),
        '<main id="main">',
        _reasons(plain["reasons"]),
        *(_journal(journal, number) for number, journal in enumerate(plain["journals"], 1)),
        _comparison(plain),
        *(_foreign(foreign) for foreign in plain["foreign"]),
        sign_off(plain),
        "</main>",
        _footer(plain["limits"]),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>Evidence report: {escape(verdict)}</title>\n<style>{STYLE}</style>\n"
        f"</head>\n<body>\n{''.join(body)}\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _header(plain: Mapping[str, Any], verdict: str) -> str:
    modes = ", ".join(plain["modes"]) or "none"
    counts = plain["counts_as_testnet_evidence"]
    note = (
        "Every line is from a testnet. This counts as testnet evidence."
        if counts
        else f"Mode: {escape(modes)}. <strong>This does not count as testnet evidence.</strong>"
    )
    return (
        f'<header class="top {_tone(verdict)}"><p class="kicker">seatrial evidence report</p>'
        f'<h1><span class="badge">{escape(verdict.replace("_", " "))}</span></h1>'
        f"<p>{escape(_WORDS.get(verdict, ''))}</p><p>{note}</p>{facts(plain)}</header>"
    )


def _tone(verdict: str) -> str:
    return {"OK": "good", "NO_GO": "bad", "FAIL": "bad"}.get(verdict, "open")


def _reasons(reasons: Sequence[str]) -> str:
    if not reasons:
        words = "<p>Nothing stands against it.</p>"
    else:
        words = f"<ul>{''.join(f'<li>{escape(reason)}</li>' for reason in reasons)}</ul>"
    return f'<section id="why" tabindex="-1"><h2>Why</h2>{words}</section>'


def _journal(journal: Mapping[str, Any], number: int) -> str:
    chain, orders, sessions = journal["integrity"], journal["orders"], journal["sessions"]
    decisions, caps, incidents = journal["decisions"], journal["caps"], journal["incidents"]
    tiles = {
        "orders approved": orders["approved"],
        "fills": orders["fills"],
        "denied": orders["denied"],
        "rejected": orders["rejects"],
        "without an end": len(orders["without_end"]),
        "cap checks": caps["checks"],
        "cap breaches": caps["breaches"],
        "decisions agreeing": f"{decisions['agreed']} of {decisions['checked']}",
        "sessions": len(sessions["sessions"]),
        "crashes": sessions["crashes"],
        "errors": incidents["error_count"],
        "anomalies": incidents["anomaly_count"],
    }
    cells = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{_figure(name, str(value), number)}</dd></div>"
        for name, value in tiles.items()
    )
    size = f"{chain['lines']} lines, {chain['bytes']} bytes"
    head = f'<code class="hash">{escape(chain["head"])}</code>'
    cards = "".join(_card(name, finding) for name, finding in journal["verdicts"].items())
    sections = [
        f"<h2>{_title(str(journal['name']))}</h2>",
        f'<p class="quiet">{size}, head {head}</p>',
        f'<div class="cards">{cards}</div>',
        f'<dl class="tiles">{cells}</dl>',
        *charts_of(journal),
        *_tables(journal, number),
    ]
    return f"<section>{''.join(sections)}</section>"


_LISTED = {
    "orders approved": "orders", "fills": "orders", "rejected": "orders",
    "without an end": "orders", "denied": "denied", "errors": "incidents",
    "sessions": "sessions", "cap checks": "caps", "cap breaches": "caps",
}  # fmt: skip
"""Where the lines of a figure are listed on the page."""


def _figure(name: str, value: str, number: int) -> str:
    """A figure, linked to the table that has its journal lines; a zero has none."""
    text, listed = escape(value), _LISTED.get(name)
    return f'<a href="#section-{listed}-{number}">{text}</a>' if listed and value != "0" else text


def _listed(name: str, number: int, made: str) -> str:
    """A table under the name that figures link to; a long one scrolls by itself."""
    kind = "long rows" if name == "denied" else "long"
    return f'<div class="{kind}" id="section-{name}-{number}">{made}</div>' if made else ""


def _title(name: str) -> str:
    """A journal is called by its directory, which is mostly called `journal` itself."""
    return "The journal" if name == "journal" else f"Journal {escape(name)}"


def _card(name: str, finding: Mapping[str, Any]) -> str:
    verdict = str(finding["verdict"])
    told = [*finding["reasons"], *finding["remarks"]]
    reasons = "".join(f"<li>{escape(one)}</li>" for one in told)
    return (
        f'<article class="card {_tone(verdict)}"><h3>{escape(name)} '
        f'<span class="badge small">{escape(verdict)}</span></h3>'
        f"<p>{escape(_QUESTIONS.get(name, ''))}</p>{f'<ul>{reasons}</ul>' if reasons else ''}"
        "</article>"
    )


def _tables(journal: Mapping[str, Any], number: int) -> list[str]:
    activity = journal.get("activity", {})
    made = [
        *_order_tables(journal),
        *_session_tables(journal, number),
        _listed("denied", number, table(
            f"The first {len(activity.get('denied', []))} denials, times in UTC",
            ("time", "reason", "by", "symbol", "side", "quantity", "price", "line"),
            denied_rows(activity),
        )),
        *_ledger(journal["ledger"]),
        order_table(activity, number, table(
            f"The last {len(activity.get('orders', []))} orders, times in UTC",
            ("order", "approved", "by", "symbol", "side", "quantity", "price", "filled", "state",
             "lines"),
            order_rows(activity),
        )),
    ]  # fmt: skip
    return [one for one in made if one]


def _order_tables(journal: Mapping[str, Any]) -> list[str]:
    """What became of the orders, by whom, and the money."""
    orders, positions = journal["orders"], journal["positions"]
    return [
        table("Faults of the record", ("fault", "count", "first"), [
            (kind, fault["count"], fault["examples"][0])
            for kind, fault in journal["integrity"]["faults"].items()
        ]),
        table("Denials", ("reason", "count"), orders["denials_by_reason"].items()),
        table("How orders ended", ("end", "orders"), orders["ends"].items()),
        table("By strategy and bot", (
            "by", "approved", "denied", "rejected", "fills", "turnover", "fees", "errors"
        ), owners_rows(journal.get("activity", {}))),
        table("Bots", ("bot", "requests", "signed", "orders", "filled", "fills", "denied"), [
            (name, bot["requests"], bot["proven"], bot["orders"], f"{bot['fill_percent']} %",
             bot["fills"], sum(bot["denied"].values()) + sum(bot["refused"].values()))
            for name, bot in journal.get("bots", {"bots": {}})["bots"].items()
        ]),
        table("Rejects of the venue", ("code", "count"), orders["rejects_by_code"].items()),
        table("How unknown orders ended", ("outcome", "count"), orders["unknown_ends"].items()),
        table("Latencies", ("from to", "count", "p50 µs", "p90 µs", "p99 µs", "max µs"), [
            (name.replace("_", " "), one["count"], *(one[k] // 1000 for k in _PERCENTILES))
            for name, one in orders["latency_ns"].items() if one["count"]
        ]),
        table(
            "Positions and profit, marked at our own last fill price",
            ("symbol", "position", "turnover", "realised", "profit", "fees", "fills"),
            [
                (symbol, one["position"], one["turnover_quote"], one["realised_quote"],
                 one["profit_quote"], ", ".join(f"{v} {a}" for a, v in one["fees"].items()),
                 one["fills"])
                for symbol, one in positions["symbols"].items()
            ],
        ),
    ]  # fmt: skip


def _session_tables(journal: Mapping[str, Any], number: int) -> list[str]:
    """Caps, sessions, what went wrong and what was commanded."""
    caps, sessions, incidents = journal["caps"], journal["sessions"], journal["incidents"]
    return [
        _listed("caps", number, table("Use of the caps", (
            "cap", "limit", "most used", "% max", "% p99", "ms ≥ 90 %"
        ), [
            (name, use["limit"], use["used_max"], use["percent_max"], use["percent_p99"],
             use["ms_at_or_above"]["90"])
            for name, use in caps["use"].items()
        ])),
        _listed("sessions", number, table(
            "Sessions",
            ("session", "mode", "venue", "end", "minutes", "orders", "fills", "heartbeats"),
            [
                (one["session_id"], one["mode"], one["exchange"], one["end"],
                 f"{one['duration_ms'] / 60_000:.1f}", one["orders"], one["fills"],
                 f"{one['heartbeats']} of {one['heartbeats_due']}")
                for one in sessions["sessions"]
            ],
        )),
        _listed("incidents", number, table("Incidents, times in UTC", (
            "incident", "opened", "trigger", "what", "resolved by", "at", "after", "lines"
        ), incident_rows(journal))),
        table("Kills", ("step", "by", "reason", "gate ms", "empty ms"), [
            (one["step"], one["by"], one["reason"], one["gate_ms"], one["empty_ms"])
            for one in incidents["kills"]
        ]),
        table("Drills", ("drill", "passed", "ms"), [
            (one["drill"], "yes" if one["passed"] else "NO", one["duration_ms"])
            for one in incidents["drills"]
        ]),
        table("Operator's commands", ("command", "uid", "reason", "outcome"), [
            (one["method"], one["uid"], one["reason"], one["outcome"])
            for one in incidents["commands"]
        ]),
    ]  # fmt: skip


_PERCENTILES = ("p50", "p90", "p99", "max")


def _ledger(ledger: Mapping[str, Any] | None) -> list[str]:
    if not ledger:
        return []
    rows = [
        (name.replace("_", " "), value["count"], "; ".join(value["listed"][:3]))
        for name, value in ledger.items()
        if isinstance(value, Mapping)
    ]
    matched = f"{ledger['orders_submitted']} orders and {ledger['fills']} fills at the venue"
    return [table(f"The venue's own books: {matched}", ("difference", "count", "first"), rows)]


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in a frame that scrolls by keyboard; nothing when there are no rows."""
    made = [
        "<tr>" + "".join(_cell(cell, is_first=i == 0) for i, cell in enumerate(row)) + "</tr>"
        for row in rows
    ]
    if not made:
        return ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    name = escape(caption, quote=True)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{name}">'
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(made)}</tbody></table></div>"
    )


def _cell(value: object, *, is_first: bool) -> str:
    text = escape("" if value is None else str(value))
    return f'<th scope="row">{text}</th>' if is_first else f"<td>{text}</td>"


def _comparison(plain: Mapping[str, Any]) -> str:
    """Sessions side by side, as a promotion looks at them; nothing for a single one."""
    found = sessions_compared(plain)
    sessions = found["sessions"]
    if len(sessions) < 2:
        return ""
    alike = "the same" if found["is_bound_alike"] else "not the same"
    words = f"<p>Code, config, caps and account are <strong>{alike}</strong> in all.</p>"
    items = "".join(f"<li>{escape(note)}</li>" for note in differences(found))
    header = ("figure", *(str(one["session_id"]) for one in sessions))
    return (
        f"<section><h2>Sessions side by side</h2>{words}{f'<ul>{items}</ul>' if items else ''}"
        + table(f"{len(sessions)} sessions", header, side_by_side_rows(sessions))
        + "</section>"
    )


def _foreign(foreign: Mapping[str, Any]) -> str:
    figures = ("events", "error_count", "anomaly_count", "malformed")
    return (
        f"<section><h2>Events {escape(foreign['name'])}</h2>"
        + table("Counted, and proof of nothing", figures, [[foreign[name] for name in figures]])
        + table("By type", ("type", "count"), foreign["by_type"].items())
        + "</section>"
    )


def _footer(limits: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(limit)}</li>" for limit in limits)
    return f"<footer><h2>Limits</h2><ul>{items}</ul></footer>"
