"""The report in Markdown: made from the JSON's plain values, so that the figures are the same."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evidence.folds.incident_fold import trigger_text

NS_PER_US = 1000


def json_of(plain: Mapping[str, Any], *, indent: int | None = None) -> str:
    """A report as JSON text, pure ASCII: whatever a journal holds can be written and read back."""
    return json.dumps(plain, indent=indent) + "\n"


def markdown_of(plain: Mapping[str, Any]) -> str:
    """The Markdown twin of a report's JSON."""
    lines = [f"# Evidence report: {plain['verdict']}", ""]
    if plain["modes"] and not plain["counts_as_testnet_evidence"]:
        modes = ", ".join(plain["modes"])
        lines += [f"Mode: {modes}. **This does not count as testnet evidence.**", ""]
    if plain["reasons"]:
        lines += ["## Why", "", *(f"- {reason}" for reason in plain["reasons"]), ""]
    for journal in plain["journals"]:
        lines += _journal(journal)
    for foreign in plain["foreign"]:
        lines += _foreign(foreign)
    lines += ["## Limits", "", *(f"- {limit}" for limit in plain["limits"]), ""]
    return "\n".join(lines)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A Markdown table; empty rows give nothing."""
    made = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    if not made:
        return []
    return ["| " + " | ".join(header) + " |", "|" + "---|" * len(header), *made, ""]


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _journal(journal: Mapping[str, Any]) -> list[str]:
    chain, orders = journal["integrity"], journal["orders"]
    lines = [f"## Journal {journal['name']}: {journal['verdict']}", ""]
    lines += table(
        ("verdict", "", "why"),
        [
            (name, one["verdict"], "; ".join([*one["reasons"], *one["remarks"]]))
            for name, one in journal["verdicts"].items()
        ],
    )
    lines += [
        f"{chain['lines']} lines, {chain['bytes']} bytes, head `{chain['head'][:16]}`.",
        "",
    ]
    lines += table(
        ("fault", "count", "first"),
        [(k, f["count"], f["examples"][0]) for k, f in chain["faults"].items()],
    )
    lines += ["### Orders", ""]
    figures = ("approved", "denied", "fills", "recovered_fills", "rejects", "timeouts")
    lines += table(figures, [[orders[name] for name in figures]])
    lines += table(("end", "orders"), orders["ends"].items())
    lines += table(("denied because", "count"), orders["denials_by_reason"].items())
    lines += table(("reject code", "count"), orders["rejects_by_code"].items())
    lines += table(("unknown order became", "count"), orders["unknown_ends"].items())
    lines += _latencies(orders["latency_ns"])
    lines += _decisions(journal["decisions"])
    lines += _bots(journal.get("bots", {}))
    lines += _positions(journal["positions"])
    lines += _caps(journal["caps"])
    lines += _sessions(journal["sessions"])
    lines += _incidents(journal["incidents"])
    if journal["ledger"]:
        lines += _ledger(journal["ledger"])
    return lines


def _bots(found: Mapping[str, Any]) -> list[str]:
    """What each bot did, was denied, and earned; nothing where there were none."""
    if not found:
        return []
    bots = found["bots"].items()
    lines = ["### Bots", ""]
    lines += table(
        ("bot", "requests", "signed", "orders", "filled", "fills", "throttled", "answer p50 / p99"),
        [
            (
                name, bot["requests"], bot["proven"], bot["orders"], f"{bot['fill_percent']} %",
                bot["fills"], bot["throttled"],
                f"{bot['answer_ns']['p50'] // 1000} / {bot['answer_ns']['p99'] // 1000} µs",
            )
            for name, bot in bots
        ],
    )  # fmt: skip
    lines += table(
        ("bot", "symbol", "position", "realised in quote"),
        [
            (name, symbol, one["qty"], one["realised"])
            for name, bot in bots
            for symbol, one in bot["positions"].items()
        ],
    )
    lines += table(
        ("bot", "denied or refused because", "count"),
        [
            (name, reason, count)
            for name, bot in bots
            for reason, count in (*bot["denied"].items(), *bot["refused"].items())
        ],
    )
    return lines


def _latencies(latencies: Mapping[str, Mapping[str, int]]) -> list[str]:
    names = ("p50", "p90", "p99", "max")
    return table(
        ("latency, µs", "count", *names),
        [
            (name.replace("_", " "), one["count"], *(one[key] // NS_PER_US for key in names))
            for name, one in latencies.items()
            if one["count"]
        ],
    )


def _decisions(decisions: Mapping[str, Any]) -> list[str]:
    agreed, checked = decisions["agreed"], decisions["checked"]
    lines = ["### Decisions", "", f"{agreed} of {checked} decisions agree when decided again.", ""]
    faults = decisions["disagreements"].items()
    return lines + table(
        ("disagreement", "count", "first"), [(k, f["count"], f["examples"][0]) for k, f in faults]
    )


def _positions(positions: Mapping[str, Any]) -> list[str]:
    names = ("position", "bought", "sold", "turnover_quote", "realised_quote", "profit_quote")
    lines = ["### Positions", ""]
    lines += table(
        ("symbol", *names, "fees"),
        [
            (symbol, *(one[name] for name in names),
             ", ".join(f"{fee} {asset}" for asset, fee in one["fees"].items()))
            for symbol, one in positions["symbols"].items()
        ],
    )  # fmt: skip
    lines += table(
        ("profit in", "end", "peak", "low", "drawdown max"),
        [
            (quote, one["end"], one["peak"], one["low"], one["drawdown_max"])
            for quote, one in positions["profit"].items()
        ],
    )
    return lines


def _caps(caps: Mapping[str, Any]) -> list[str]:
    lines = [
        "### Caps",
        "",
        f"{caps['checks']} checks, {caps['breaches']} breaches in the journal's own replay.",
        "",
    ]
    return lines + table(
        ("cap", "limit", "most used", "% max", "% p99", "ms ≥ 90 %"),
        [
            (name, use["limit"], use["used_max"], use["percent_max"], use["percent_p99"],
             use["ms_at_or_above"]["90"])
            for name, use in caps["use"].items()
        ],
    )  # fmt: skip


def _sessions(sessions: Mapping[str, Any]) -> list[str]:
    lines = ["### Sessions", "", f"{sessions['runs']} runs, {sessions['crashes']} crashes.", ""]
    return lines + table(
        ("session", "mode", "venue", "end", "ms", "orders", "fills", "denied", "heartbeats"),
        [
            (one["session_id"], one["mode"], one["exchange"], one["end"], one["duration_ms"],
             one["orders"], one["fills"], one["denied"],
             f"{one['heartbeats']} of {one['heartbeats_due']}")
            for one in sessions["sessions"]
        ],
    )  # fmt: skip


def _incidents(incidents: Mapping[str, Any]) -> list[str]:
    errors, anomalies = incidents["error_count"], incidents["anomaly_count"]
    unresolved = len(incidents["unresolved"])
    counted = f"{errors} errors, {anomalies} anomalies, {unresolved} unresolved incidents."
    lines = ["### Incidents", "", counted, ""]
    lines += table(
        ("incident", "trigger", "what", "resolved by"),
        [
            (one["incident_id"], trigger_text(one), one["msg"], one["resolved_by"] or "nobody")
            for one in incidents["incidents"]
        ],
    )
    lines += table(("event", "count"), incidents["counts"].items())
    lines += table(
        ("kill", "by", "gate ms", "empty ms"),
        [(one["step"], one["by"], one["gate_ms"], one["empty_ms"]) for one in incidents["kills"]],
    )
    return lines + table(
        ("drill", "passed", "ms"),
        [(one["drill"], one["passed"], one["duration_ms"]) for one in incidents["drills"]],
    )


def _ledger(ledger: Mapping[str, Any]) -> list[str]:
    lines = ["### The venue's own books", ""]
    rows: list[tuple[object, ...]] = []
    for name, value in ledger.items():
        if isinstance(value, Mapping):
            rows.append((name.replace("_", " "), value["count"], "; ".join(value["listed"][:3])))
        elif isinstance(value, int):
            rows.append((name.replace("_", " "), value, ""))
    return lines + table(("", "count", "first"), rows)


def _foreign(foreign: Mapping[str, Any]) -> list[str]:
    lines = [f"## Events {foreign['name']}", ""]
    figures = ("events", "error_count", "anomaly_count", "malformed")
    lines += table(figures, [[foreign[name] for name in figures]])
    return lines + table(("event", "count"), foreign["by_type"].items())
