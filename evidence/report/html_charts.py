"""The drawings of the HTML report: states, incidents, exposure, order rate, profit, latencies."""

from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite
from typing import Any

from evidence.report.svg import Plot, curve_chart, legend, span_text

_ROW = 26
_BAD_EVENTS = {
    "incident_opened": "incident",
    "order_reject": "reject",
    "timeout": "timeout",
    "rate_limit": "rate limit",
    "disconnected": "link lost",
    "reconnect": "reconnect",
    "kill_latched": "kill",
    "drill": "drill",
    "cap_alert": "cap alert",
    "reconcile_difference": "difference",
}


def charts_of(journal: Mapping[str, Any]) -> list[str]:
    """Every drawing that there is something to draw for, each in a figure."""
    chain = journal["integrity"]
    span = (chain["first_ts_ns"], chain["last_ts_ns"])
    orders, positions = journal["orders"], journal["positions"]
    activity = journal.get("activity", {})
    curves = orders["latency_curves_ns"]
    made = [
        figure("States and incidents over time (UTC)", _timeline(journal, span)),
        figure("Exposure against caps: the fullest exposure cap, in per cent of its limit",
               _exposure(journal["caps"]["curve"], span)),
        figure("Orders approved in each slot of time, against the rolling caps",
               _rate(orders["rate"], journal["caps"], span)),
        figure("Profit and drawdown, marked at our own last fill price",
               *_profit(positions["curve"], span)),
        *(
            figure(f"Fills of {symbol} on their prices", _fills(symbol, drawn, span), _ARROWS)
            for symbol, drawn in activity.get("fills", {}).items()
        ),
        figure("Denials in each slot of time, by reason",
               *_denials(activity.get("denials", {}), span)),
        figure("Latency distributions", curve_chart("Latency distributions", curves),
               legend([name for name, curve in curves.items() if curve])),
    ]  # fmt: skip
    return [one for one in made if one]


def figure(caption: str, *parts: str) -> str:
    """A drawing with its caption; nothing when there is no drawing."""
    if not parts or not parts[0]:
        return ""
    return f"<figure><figcaption>{escape(caption)}</figcaption>{''.join(parts)}</figure>"


def _timeline(journal: Mapping[str, Any], span: tuple[int, int]) -> str:
    sessions, incidents = journal["sessions"], journal["incidents"]
    kinds = [kind for kind in _BAD_EVENTS if any(e[1] == kind for e in incidents["timeline"])]
    height = 2 * _ROW + len(kinds) * _ROW + 44
    words = f"{len(sessions['sessions'])} sessions, {len(incidents['incidents'])} incidents."
    plot = Plot("States and incidents", words, x=span, y=(0, 1), height=height)
    plot.row_name(12 + _ROW / 2, "session")
    for one in sessions["sessions"]:
        stretch = (one["started_ns"], _end_ns(one))
        plot.band(stretch, 14, height=_ROW - 6, kind="session", label=one["session_id"])
    plot.row_name(12 + _ROW * 1.5, "state")
    states: Sequence[Sequence[Any]] = sessions["states"]
    crashes = [_end_ns(one) for one in sessions["sessions"] if one["end"] == "crashed"]
    for (start, state, _), after in zip(states, [*states, None][1:], strict=True):
        until = after[0] if after else span[1]
        until = min([until, *(end for end in crashes if start < end)])
        kind = f"state-{_css(state)}"
        plot.band((start, until), 14 + _ROW, height=_ROW - 6, kind=kind, label=state)
    for row, kind in enumerate(kinds):
        y = 14 + (row + 2) * _ROW + _ROW / 2 - 3
        plot.row_name(y, _BAD_EVENTS[kind])
        for ts_ns, what in incidents["timeline"]:
            if what == kind:
                plot.mark(ts_ns, y, "mark", _BAD_EVENTS[kind])
    plot.time_axis()
    return plot.drawn()


def _end_ns(session: Mapping[str, Any]) -> int:
    return int(session["started_ns"]) + int(session["duration_ms"]) * 1_000_000


def _css(word: str) -> str:
    return "".join(c for c in str(word).lower() if c.isalnum())


def _exposure(curve: Sequence[Sequence[int]], span: tuple[int, int]) -> str:
    if not curve:
        return ""
    most = max(percent for _, percent in curve)
    plot = Plot(
        "Exposure against caps",
        f"At most {most} per cent of the fullest exposure cap was used.",
        x=span,
        y=(0, max(most * 1.1, 110)),
    )
    plot.value_axis(" %")
    plot.line([(ts, percent) for ts, percent in curve], "series-1", is_step=True)
    plot.level(100, "cap")
    plot.time_axis()
    return plot.drawn()


def _rate(rate: Mapping[str, Any], caps: Mapping[str, Any], span: tuple[int, int]) -> str:
    points, width_ns = rate["points"], rate["width_ns"]
    if not points:
        return ""
    most = max(count for _, count in points)
    seconds = width_ns // 1_000_000_000
    limit = _rate_limit(caps["rate_limits"], seconds)
    plot = Plot(
        "Order rate",
        f"At most {most} orders in {seconds} s, where the caps allow {limit:g}.",
        x=span,
        y=(0, max(most * 1.15, min(limit * 1.15, most * 6))),
    )
    plot.value_axis()
    plot.bars([(ts, count) for ts, count in points], width_ns, "bar")
    plot.level(limit, f"what the caps allow in {seconds} s")
    plot.time_axis()
    return plot.drawn()


def _rate_limit(limits: Mapping[str, str], seconds: int) -> float:
    """The most orders that every rolling cap together lets into a slot of so many seconds."""
    windows = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
    allowed = [
        float(limits[f"orders_per_{name}_max"]) * -(-seconds // length)
        for name, length in windows.items()
        if f"orders_per_{name}_max" in limits
    ]
    return min(allowed, default=0.0)


def _profit(curve: Sequence[Sequence[Any]], span: tuple[int, int]) -> tuple[str, str]:
    quotes = sorted({quote for _, quote, _ in curve})
    if not quotes:
        return "", ""
    values = [float(value) for _, _, value in curve]
    low, high = min(values), max(*values, 0.0)
    edge = (high - low) * 0.08 or 1.0
    words = f"Between {low:g} and {high:g} {'/'.join(quotes)}."
    plot = Plot("Profit", words, x=span, y=(low - edge, high + edge))
    plot.value_axis(f" {quotes[0]}" if len(quotes) == 1 and len(quotes[0]) <= 5 else "")
    for number, quote in enumerate(quotes):
        points = [(ts, float(value)) for ts, one, value in curve if one == quote]
        plot.line(points, f"series-{number % 3 + 1}", is_step=True)
    plot.time_axis()
    return plot.drawn(), legend([quote or "unknown quote asset" for quote in quotes])


_ARROWS = (
    '<ul class="legend"><li><span class="up" aria-hidden="true">▲</span> bought</li>'
    '<li><span class="down" aria-hidden="true">▼</span> sold</li></ul>'
)


def _fills(symbol: str, drawn: Mapping[str, Any], span: tuple[int, int]) -> str:
    """Fills as triangles, with the line of their prices; the axis fits the prices."""
    points = [(ts, side, _number(price), seq) for ts, side, price, seq in drawn["points"]]
    points = [one for one in points if one[2] is not None]
    if not points:
        return ""
    prices = [price for _, _, price, _ in points]
    low, high = min(prices), max(prices)
    edge = (high - low) * 0.1 or abs(high) * 0.001 or 1.0
    part = f", every {drawn['of'] // len(points)}th is drawn" if drawn["of"] > len(points) else ""
    words = f"{drawn['of']} fills between {low:g} and {high:g}{part}."
    plot = Plot(f"Fills of {symbol}", words, x=span, y=(low - edge, high + edge))
    plot.value_axis()
    plot.line([(ts, price) for ts, _, price, _ in points], "series-1")
    for ts, side, price, seq in points:
        plot.arrow(ts, price, is_up=side == "BUY", label=f"{side} at {price:g}, line {seq}")
    plot.time_axis()
    return plot.drawn()


def _number(text: object) -> Any:
    try:
        found = float(str(text))
    except ValueError:
        return None
    return found if isfinite(found) else None


def _denials(by_reason: Mapping[str, Any], span: tuple[int, int]) -> tuple[str, str]:
    """Stacked bars; the fullest reasons have a pattern of their own, the rest are together."""
    if not by_reason:
        return "", ""
    width = max(one["width_ns"] for one in by_reason.values())
    width = max(width, -(-(span[1] - span[0]) // 60))
    totals = {name: sum(n for _, n in one["points"]) for name, one in by_reason.items()}
    order = sorted(totals, key=lambda name: (-totals[name], name))
    named = order if len(order) <= 4 else [*order[:3], "others"]
    slots: dict[int, list[int]] = {}
    for name, one in by_reason.items():
        row = named.index(name) if name in named else len(named) - 1
        for ts, count in one["points"]:
            slots.setdefault(ts // width * width, [0] * len(named))[row] += count
    most = max(map(sum, slots.values()))
    words = "; ".join(f"{name}: {totals.get(name, 'several reasons')}" for name in named)
    plot = Plot("Denials", f"{words}. At most {most} in {span_text(width)}.", x=span,
                y=(0, most * 1.15))  # fmt: skip
    plot.value_axis()
    for row in range(len(named)):
        stacked = [(ts, sum(counts[row:])) for ts, counts in sorted(slots.items()) if counts[row]]
        plot.bars(stacked, width, f"bar-{row + 1}")
    plot.time_axis()
    told = [f"{name} ({totals[name]})" if name in totals else name for name in named]
    return plot.drawn(), legend(told)
