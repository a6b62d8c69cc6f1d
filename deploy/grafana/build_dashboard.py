"""Writes dashboards/seatrial.json: `python deploy/grafana/build_dashboard.py`.

The JSON is what Grafana is provisioned with; this file is what a person reads and changes. A test
keeps the two equal and gives every expression to promtool.
"""  # noqa: INP001 - a script beside what it writes, not a package

import json
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent / "dashboards" / "seatrial.json"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
WIDTH = 24
GREEN, AMBER, RED, BLUE = "#2E7D5B", "#C98A1B", "#B3362B", "#2F6690"
PICK = 'instance=~"$instance"'

Panel = dict[str, Any]
Steps = list[tuple[float | None, str]]


def stat(title: str, expr: str, *, unit: str = "short", steps: Steps, mappings: Any = ()) -> Panel:
    """One number on a coloured ground."""
    panel = _panel("stat", title, [(expr, "")], unit=unit, size=(3, 4), steps=steps)
    panel["fieldConfig"]["defaults"]["mappings"] = list(mappings)
    panel["options"] = {
        "colorMode": "background",
        "graphMode": "none",
        "textMode": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return panel


def state(title: str, metric: str, colours: dict[str, str]) -> Panel:
    """Which of several states holds: the label of the series whose value is 1."""
    panel = stat(title, f"{metric}{{{PICK}}} == 1", steps=[(None, BLUE)])
    panel["targets"][0]["legendFormat"] = "{{state}}"
    panel["options"]["textMode"] = "name"
    panel["fieldConfig"]["overrides"] = [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for name, colour in colours.items()
    ]
    return panel


def graph(
    title: str,
    *queries: tuple[str, str],
    unit: str = "short",
    size: tuple[int, int] = (8, 8),
    steps: Steps | None = None,
    stack: bool = False,
    text: str = "",
) -> Panel:
    """Lines over time."""
    panel = _panel("timeseries", title, list(queries), unit=unit, size=size, steps=steps or [])
    panel["description"] = text
    panel["fieldConfig"]["defaults"]["custom"] = {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 25 if stack else 8,
        "showPoints": "never",
        "stacking": {"mode": "normal" if stack else "none", "group": "A"},
        "thresholdsStyle": {"mode": "line" if steps else "off"},
    }
    panel["options"] = {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel


def bars(title: str, expr: str, legend: str, *, size: tuple[int, int], steps: Steps) -> Panel:
    """A gauge bar for each series, fullest first."""
    panel = _panel("bargauge", title, [(expr, legend)], unit="percentunit", size=size, steps=steps)
    panel["fieldConfig"]["defaults"] |= {"min": 0, "max": 1}
    panel["targets"][0]["instant"] = True
    panel["options"] = {
        "displayMode": "lcd",
        "orientation": "horizontal",
        "showUnfilled": True,
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return panel


def _panel(
    kind: str,
    title: str,
    queries: list[tuple[str, str]],
    *,
    unit: str,
    size: tuple[int, int],
    steps: Steps,
) -> Panel:
    return {
        "type": kind,
        "title": title,
        "datasource": SOURCE,
        "gridPos": {"w": size[0], "h": size[1], "x": 0, "y": 0},
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": SOURCE,
                "expr": expr,
                "legendFormat": legend,
            }
            for number, (expr, legend) in enumerate(queries)
        ],
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "thresholds": {
                    "mode": "absolute",
                    "steps": [{"value": at, "color": colour} for at, colour in steps]
                    or [{"value": None, "color": BLUE}],
                },
            },
            "overrides": [],
        },
    }


def per_second(metric: str, *by: str, extra: str = "") -> str:
    """Rate of a counter, summed by labels."""
    chosen = PICK + (f", {extra}" if extra else "")
    return f"sum by ({', '.join(by)}) (rate({metric}{{{chosen}}}[$__rate_interval]))"


def quantile(share: float, metric: str) -> str:
    """A quantile of a histogram of ours."""
    rate = f"sum by (le) (rate({metric}_bucket{{{PICK}}}[$__rate_interval]))"
    return f"histogram_quantile({share}, {rate})"


def quantiles(metric: str) -> list[tuple[str, str]]:
    """Middle and tails."""
    return [
        (quantile(0.5, metric), "p50"),
        (quantile(0.9, metric), "p90"),
        (quantile(0.99, metric), "p99"),
    ]


TROUBLE = (
    "order_reject|timeout|rate_limit|reconnect|disconnected|strategy_error"
    "|incident_opened|exchange_error|journal_fault"
)
ON_OFF = [
    {"type": "value", "options": {"0": {"text": "no"}, "1": {"text": "YES"}}},
]
ZERO_IS_GOOD: Steps = [(None, GREEN), (1, RED)]


def overview() -> list[Panel]:
    """What a person must see first: may it trade, did it stop, does anything hurt."""
    return [
        state(
            "Gate", "seatrial_gate_state",
            {
                "READY": GREEN, "RECONCILING": AMBER, "CONNECTING": AMBER, "STALE": RED,
                "BANNED": RED, "DOWN": RED,
            },
        ),
        state(
            "Trading", "seatrial_trading_state",
            {"ACTIVE": GREEN, "REDUCING": AMBER, "HALTED": BLUE},
        ),
        stat("Kill latch", f"seatrial_latched{{{PICK}}}", steps=ZERO_IS_GOOD, mappings=ON_OFF),
        stat("Incidents", f"seatrial_incidents_unresolved{{{PICK}}}", steps=ZERO_IS_GOOD),
        stat("Unknown orders", f"seatrial_unknown_orders{{{PICK}}}", steps=ZERO_IS_GOOD),
        stat(
            "Fullest cap", f"max(seatrial:cap_use:ratio{{{PICK}}})",
            unit="percentunit", steps=[(None, GREEN), (0.75, AMBER), (0.9, RED)],
        ),
        stat(
            "Reconciled ago", f"seatrial_last_reconcile_age_seconds{{{PICK}}}",
            unit="s", steps=[(None, GREEN), (120, AMBER), (300, RED)],
        ),
        stat(
            "Session", f"seatrial_session_age_seconds{{{PICK}}}", unit="s", steps=[(None, BLUE)]
        ),
        graph(
            "Equity and drawdown, numeraire",
            (f"seatrial_equity{{{PICK}}}", "equity"),
            (f"-seatrial_drawdown{{{PICK}}}", "below the peak"),
            (f"seatrial_realised_pnl{{{PICK}}}", "realised"),
            size=(12, 8),
        ),
        graph(
            "Position, base",
            (f"seatrial_position{{{PICK}}}", "{{symbol}}"),
            size=(12, 8),
        ),
    ]  # fmt: skip


def caps() -> list[Panel]:
    """How near to which limit, and what was refused."""
    return [
        bars(
            "Use of each cap, fullest first",
            f"sort_desc(topk(20, seatrial:cap_use:ratio{{{PICK}}}))",
            "{{cap}} {{symbol}}",
            size=(12, 12),
            steps=[(None, GREEN), (0.5, BLUE), (0.75, AMBER), (0.9, RED)],
        ),
        graph(
            "Headroom of the five tightest caps",
            (f"bottomk(5, seatrial_cap_headroom_ratio{{{PICK}}})", "{{cap}} {{symbol}}"),
            unit="percentunit",
            size=(12, 6),
        ),
        graph(
            "Denials a second, by reason",
            (f"topk(8, {per_second('seatrial_orders_denied_total', 'reason')} > 0)", "{{reason}}"),
            unit="ops",
            size=(12, 6),
            stack=True,
        ),
    ]


def flow() -> list[Panel]:
    """Orders from wish to end, and how long the venue takes."""
    return [
        graph(
            "Orders a second",
            (per_second("seatrial_orders_approved_total", "instance"), "approved"),
            (per_second("seatrial_orders_denied_total", "instance"), "denied"),
            (per_second("seatrial_order_rejects_total", "instance"), "rejected by the venue"),
            (per_second("seatrial_cancel_requests_total", "instance"), "cancels"),
            (per_second("seatrial_fills_total", "instance"), "fills"),
            unit="ops",
        ),
        graph(
            "Orders by the state they came to",
            (per_second("seatrial_order_states_total", "status") + " > 0", "{{status}}"),
            unit="ops",
            stack=True,
        ),
        graph(
            "Open and unknown",
            (f"seatrial_open_orders{{{PICK}}}", "open"),
            (f"seatrial_unknown_orders{{{PICK}}}", "unknown"),
            (f"seatrial_requests_in_flight{{{PICK}}}", "requests in flight"),
        ),
        graph(
            "Order answered after",
            *quantiles("seatrial_order_answer_seconds"),
            unit="s",
            text="From the approved order on disk to the venue's first answer.",
        ),
        graph("Cancel done after", *quantiles("seatrial_cancel_answer_seconds"), unit="s"),
        graph("Fill heard of after", *quantiles("seatrial_fill_delay_seconds"), unit="s"),
    ]


def bots() -> list[Panel]:
    """Programs behind the gateway: who may place, what they do, who is silent or too fast."""
    per_bot = f"{{{PICK}}}"
    may_place = bars(
        "May place orders",
        f"seatrial_bot_active{per_bot}",
        "{{bot}}",
        size=(4, 7),
        steps=[(None, RED), (1, GREEN)],
    )
    may_place["fieldConfig"]["defaults"]["unit"] = "bool_yes_no"
    return [
        may_place,
        graph("Open orders", (f"seatrial_bot_open_orders{per_bot}", "{{bot}}"), size=(5, 7)),
        graph(
            "Orders and fills in a minute",
            (f"delta(seatrial_bot_orders{per_bot}[1m])", "{{bot}} orders"),
            (f"delta(seatrial_bot_fills{per_bot}[1m])", "{{bot}} fills"),
            size=(5, 7),
        ),
        graph(
            "Refused for their rate, in a minute",
            (f"delta(seatrial_bot_throttled{per_bot}[1m])", "{{bot}}"),
            size=(5, 7),
            steps=[(None, "transparent"), (1, AMBER)],
        ),
        graph(
            "Longest silence",
            (f"seatrial_bot_longest_silence_seconds{per_bot}", "{{bot}}"),
            unit="s",
            size=(5, 7),
            text="The longest time without a signed request since boot.",
        ),
    ]


def venue() -> list[Panel]:
    """Links, data, budget, clock: what the other side does."""
    return [
        graph(
            "Links up", (f"seatrial_link_up{{{PICK}}}", "{{link}}"),
            size=(6, 7),
        ),
        graph(
            "Silence of the links", (f"seatrial_link_silence_seconds{{{PICK}}}", "{{link}}"),
            unit="s", size=(6, 7),
        ),
        graph(
            "Age of the top of book",
            (f"seatrial_market_data_age_seconds{{{PICK}}}", "{{symbol}}"),
            unit="s", size=(6, 7), steps=[(None, "transparent"), (10, RED)],
        ),
        graph(
            "Reconnects in five minutes",
            (f"increase(seatrial_reconnects_total{{{PICK}}}[5m])", "{{link}}"),
            (quantile(0.9, "seatrial_outage_seconds"), "outage in seconds, p90"),
            size=(6, 7),
        ),
        graph(
            "Venue budget left",
            (f"seatrial:venue_budget_left:ratio{{{PICK}}}", "{{window}}"),
            unit="percentunit", size=(6, 7), steps=[(None, "transparent"), (0.2, AMBER)],
        ),
        graph(
            "Pause for a rate limit", (f"seatrial_venue_pause_seconds{{{PICK}}}", "pause"),
            unit="s", size=(6, 7),
        ),
        graph(
            "Clock: venue minus ours", (f"seatrial_clock_offset_seconds{{{PICK}}}", "offset"),
            (quantile(0.9, "seatrial_clock_round_trip_seconds"), "round trip, p90"),
            unit="s", size=(6, 7),
        ),
        graph(
            "Rejects a second, by code",
            (per_second("seatrial_order_rejects_total", "code"), "{{code}}"),
            unit="ops", size=(6, 7),
        ),
    ]  # fmt: skip


def evidence() -> list[Panel]:
    """What the record is made of, and whether it is being written."""
    return [
        graph(
            "Journal lines a second",
            (
                "topk(8, "
                + per_second("seatrial_events_total", "event_type", extra='event_type!="input"')
                + " > 0)",
                "{{event_type}}",
            ),
            unit="ops",
            stack=True,
        ),
        graph(
            "Errors and anomalies in an hour",
            (
                f'increase(seatrial_events_total{{{PICK}, event_type=~"{TROUBLE}"}}[1h])',
                "{{event_type}}",
            ),
        ),
        graph(
            "Journal behind",
            (f"seatrial_journal_pending_lines{{{PICK}}}", "not with the kernel"),
            (f"seatrial_journal_undurable_lines{{{PICK}}}", "not on disk"),
            (f"seatrial_anchor_queued{{{PICK}}}", "anchors not sent"),
            (f"increase(seatrial_journal_write_errors_total{{{PICK}}}[5m])", "write errors"),
            (f"seatrial_journal_faulty{{{PICK}}}", "refuses lines now"),
        ),
        graph(
            "Kill: venue verified empty after",
            *quantiles("seatrial_kill_empty_seconds"),
            (quantile(0.99, "seatrial_kill_gate_seconds"), "gate closed, p99"),
            unit="s",
        ),
        graph(
            "Days since the last drill",
            (f"(time() - seatrial:last_drill:timestamp_seconds{{{PICK}}}) / 86400", "days"),
            size=(4, 8),
            steps=[(None, "transparent"), (30, AMBER)],
        ),
        graph(
            "Main loop",
            (f"seatrial_loop_lag_seconds{{{PICK}}}", "lag"),
            (f"seatrial_queue_age_seconds{{{PICK}}}", "wait of the last input"),
            unit="s",
            size=(6, 8),
        ),
        graph(
            "Process and disk",
            (f"process_resident_memory_bytes{{{PICK}}}", "resident memory"),
            (f"seatrial_disk_free_bytes{{{PICK}}}", "disk left"),
            (f"seatrial_journal_bytes{{{PICK}}}", "journal"),
            (f"seatrial_journal_bytes_per_day{{{PICK}}}", "journal, a day"),
            unit="bytes",
            size=(6, 8),
            steps=[(None, "transparent"), (128_000_000, RED)],
        ),
        graph(
            "Days until the journal fills the disk",
            (f"seatrial_journal_left_seconds{{{PICK}}} / 86400", "days left"),
            (f"seatrial_journal_pack_faulty{{{PICK}}}", "packing fails"),
            size=(6, 8),
        ),
        graph(
            "Weight spent by reconciliation",
            (f"seatrial_venue_budget_rounds{{{PICK}}}", "{{window}}"),
            size=(6, 8),
        ),
        graph(
            "Left out",
            (f"deriv(seatrial_ticks_thinned{{{PICK}}}[1m])", "ticks without a line, 1/s"),
            (f"seatrial_log_lines_dropped{{{PICK}}}", "log lines dropped"),
            size=(6, 8),
        ),
    ]


def dashboard() -> dict[str, Any]:
    """The whole board: six rows, laid out left to right."""
    panels: list[Panel] = []
    top = 0
    for title, row in (
        ("Overview", overview()),
        ("Caps", caps()),
        ("Order flow", flow()),
        ("Bots", bots()),
        ("Venue health", venue()),
        ("Evidence", evidence()),
    ):
        head = {"type": "row", "title": title, "collapsed": False, "panels": []}
        panels.append(head | {"gridPos": {"w": WIDTH, "h": 1, "x": 0, "y": top}})
        top = _lay_out(row, top + 1)
        panels += row
    for number, panel in enumerate(panels, start=1):
        panel["id"] = number
    return {
        "uid": "seatrial",
        "title": "seatrial",
        "tags": ["seatrial"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "5s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "utc",
        "annotations": {
            "list": [
                {
                    "name": "Alerts",
                    "enable": True,
                    "datasource": SOURCE,
                    "expr": f'ALERTS{{alertstate="firing", alertname=~"Seatrial.*", {PICK}}}',
                    "titleFormat": "{{alertname}}",
                    "iconColor": RED,
                }
            ]
        },
        "templating": {
            "list": [
                {
                    "name": "instance",
                    "type": "query",
                    "datasource": SOURCE,
                    "query": "label_values(seatrial_build_info, instance)",
                    "refresh": 2,
                    "includeAll": True,
                    "multi": True,
                    "current": {"text": "All", "value": "$__all"},
                }
            ]
        },
        "panels": panels,
    }


def _lay_out(row: list[Panel], top: int) -> int:
    """Place panels left to right, under what is higher; returns where the next row begins."""
    floor = [top] * WIDTH
    for panel in row:
        place = panel["gridPos"]
        width = place["w"]
        x = min(range(WIDTH - width + 1), key=lambda left: max(floor[left : left + width]))
        place["x"], place["y"] = x, max(floor[x : x + width])
        floor[x : x + width] = [place["y"] + place["h"]] * width
    return max(floor)


def text() -> str:
    """The JSON as it stands in the file."""
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text())
