"""Small drawings as inline SVG: no script, no font, no file from elsewhere.

Rules of this file:
1. Every drawing has a title and a description for a screen reader; colour is never the only sign.
2. Colours are classes of the page's style sheet, so that light, dark and print need no second SVG.
3. Every text that comes from a journal is escaped: a journal is an untrusted file.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 720, 200
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 26
NS_PER_S = 1_000_000_000

Point = tuple[float, float]


def clock(ts_ns: float) -> str:
    """A moment as hours, minutes and seconds UTC."""
    try:
        return datetime.fromtimestamp(ts_ns / NS_PER_S, UTC).strftime("%H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{ts_ns:.0f}"


def moment_text(ts_ns: float, span_ns: float) -> str:
    """A moment as short as the span of its axis allows; with its day where there are several."""
    try:
        at = datetime.fromtimestamp(ts_ns / NS_PER_S, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{ts_ns:.0f}"
    if span_ns > 20 * 3600 * NS_PER_S:
        return at.strftime("%m-%d %H:%M")
    return at.strftime("%H:%M:%S")


def span_text(duration_ns: float) -> str:
    """A duration for people: `850 µs`, `12.5 ms`, `3.2 s`, `4 min`, `2.5 h`."""
    for unit, size in (("h", 3600e9), ("min", 60e9), ("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if abs(duration_ns) >= size:
            return f"{duration_ns / size:.3g} {unit}"
    return f"{duration_ns:.0f} ns"


class Plot:
    """One drawing with a linear time axis below and a linear value axis at the left."""

    def __init__(
        self,
        name: str,
        description: str,
        *,
        x: tuple[float, float],
        y: tuple[float, float],
        height: int = HEIGHT,
    ) -> None:
        """Begin a drawing.

        Args:
            name: its title.
            description: what it shows, in one sentence with the figures that matter.
            x: first and last moment (nanoseconds).
            y: lowest and highest value.
            height: of the picture, in its own units; the width is the page's.
        """
        self.name, self.description, self.height = name, description, height
        self.x0, self.x1 = x if x[1] > x[0] else (x[0], x[0] + NS_PER_S)
        self.y0, self.y1 = y if y[1] > y[0] else (y[0] - 1, y[0] + 1)
        self.parts: list[str] = []

    def at_x(self, value: float) -> float:
        """Where a moment stands."""
        return LEFT + (value - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def at_y(self, value: float) -> float:
        """Where a value stands."""
        share = (value - self.y0) / (self.y1 - self.y0)
        return self.height - BOTTOM - share * (self.height - TOP - BOTTOM)

    def value_axis(self, unit: str = "") -> None:
        """Lines and labels at round values; a stronger line at zero."""
        for value in round_steps(self.y0, self.y1):
            y = self.at_y(value)
            kind = "grid zero" if value == 0 else "grid"
            self.parts.append(
                f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
                f"{value:g}{escape(unit)}</text>"
            )

    def time_axis(self) -> None:
        """Five moments along the bottom."""
        y = self.height - 8
        for i in range(5):
            moment = self.x0 + (self.x1 - self.x0) * i / 4
            anchor = "start" if i == 0 else "end" if i == 4 else "middle"
            self.parts.append(
                f'<text class="tick" x="{self.at_x(moment):.1f}" y="{y}" '
                f'text-anchor="{anchor}">{moment_text(moment, self.x1 - self.x0)}</text>'
            )

    def line(self, points: Sequence[Point], kind: str, *, is_step: bool = False) -> None:
        """A line through points."""
        if not points:
            return
        path = [f"M{self.at_x(points[0][0]):.1f} {self.at_y(points[0][1]):.1f}"]
        for x, y in points[1:]:
            if is_step:
                path.append(f"H{self.at_x(x):.1f}V{self.at_y(y):.1f}")
            else:
                path.append(f"L{self.at_x(x):.1f} {self.at_y(y):.1f}")
        self.parts.append(f'<path class="line {kind}" d="{"".join(path)}"/>')

    def bars(self, points: Sequence[Point], width: float, kind: str) -> None:
        """Bars from the bottom; `width` in nanoseconds."""
        base = self.at_y(max(self.y0, 0))
        for x, y in points:
            left = max(self.at_x(x), LEFT)
            right = min(self.at_x(x + width), WIDTH - RIGHT)
            wide = max(right - left - 0.5, 0.8)
            top = self.at_y(y)
            self.parts.append(
                f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" '
                f'width="{wide:.1f}" height="{max(base - top, 0):.1f}"/>'
            )

    def level(self, value: float, label: str) -> None:
        """A dashed line at a limit, with its name."""
        if not self.y0 <= value <= self.y1:
            return
        y = self.at_y(value)
        self.parts.append(
            f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="limit-name" x="{WIDTH - RIGHT}" y="{y - 5:.1f}" text-anchor="end">'
            f"{escape(label)}</text>"
        )

    def band(self, stretch: Point, y: float, *, height: float, kind: str, label: str) -> None:
        """A coloured stretch of time at a fixed height, with its name where there is room."""
        x, until = stretch
        left, right = self.at_x(x), self.at_x(until)
        title = f"{label}, {clock(x)} to {clock(until)}"
        self.parts.append(
            f'<g><title>{escape(title)}</title><rect class="{kind}" x="{left:.1f}" y="{y}" '
            f'width="{max(right - left, 1):.1f}" height="{height}"/></g>'
        )
        if right - left > 8 * len(label):
            self.parts.append(
                f'<text class="band-name" x="{left + 5:.1f}" y="{y + height / 2 + 4:.1f}">'
                f"{escape(label)}</text>"
            )

    def mark(self, x: float, y: float, kind: str, label: str) -> None:
        """A small diamond at a moment."""
        at = self.at_x(x)
        self.parts.append(
            f"<g><title>{escape(label)}</title>"
            f'<path class="{kind}" d="M{at:.1f} {y - 5}l5 5l-5 5l-5 -5z"/></g>'
        )

    def arrow(self, x: float, y: float, *, is_up: bool, label: str) -> None:
        """A triangle at a moment and a value: up for what was bought, down for what was sold."""
        at, height = self.at_x(x), self.at_y(y)
        kind, tip = ("bought", -5) if is_up else ("sold", 5)
        self.parts.append(
            f"<g><title>{escape(label)}</title>"
            f'<path class="{kind}" d="M{at:.1f} {height + tip:.1f}l4.5 {-1.6 * tip:.0f}h-9z"/></g>'
        )

    def row_name(self, y: float, text: str) -> None:
        """The name of a row, at the left."""
        self.parts.append(
            f'<text class="tick" x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{escape(text)}</text>'
        )

    def drawn(self) -> str:
        """The finished SVG."""
        return (
            f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img" '
            f'aria-label="{escape(f"{self.name}. {self.description}", quote=True)}">'
            f"<title>{escape(self.name)}</title><desc>{escape(self.description)}</desc>"
            f"{''.join(self.parts)}</svg>"
        )


def round_steps(low: float, high: float) -> list[float]:
    """Three to six round values between two ends."""
    span = high - low
    if span <= 0:
        return [low]
    step: float = 10.0 ** floor(log10(span))
    for factor in (0.2, 0.25, 0.5, 1.0):
        if span / (step * factor) <= 5:
            step *= factor
            break
    else:
        step *= 2
    first = ceil(low / step)
    return [i * step for i in range(first, floor(high / step + 1e-9) + 1)]


def curve_chart(name: str, curves: dict[str, list[list[int]]]) -> str:
    """Distributions on a logarithmic axis: how many per cent were answered within a time."""
    shown = {label: curve for label, curve in curves.items() if curve}
    if not shown:
        return ""
    low = max(min(curve[0][1] for curve in shown.values()), 1_000)
    high = max(*(curve[-1][1] for curve in shown.values()), low * 10)
    x0, x1 = floor(log10(low)), ceil(log10(high))
    words = [f"{label}: median {span_text(_at(curve, 500))}" for label, curve in shown.items()]
    plot = Plot(name, "; ".join(words) + ".", x=(x0, x1), y=(0, 100))
    plot.value_axis(" %")
    for exponent in range(x0, x1 + 1):
        x = plot.at_x(exponent)
        plot.parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">'
            f"{span_text(10.0**exponent)}</text>"
        )
    for number, curve in enumerate(shown.values()):
        points = [(log10(max(value, 1_000)), per_mille / 10) for per_mille, value in curve]
        plot.line(points, f"series-{number + 1}", is_step=True)
    return plot.drawn()


def _at(curve: list[list[int]], per_mille: int) -> int:
    return next(value for share, value in curve if share >= per_mille)


def legend(names: Sequence[str]) -> str:
    """What the lines of a drawing are, in words."""
    items = [
        f'<li><span class="key key-{i + 1}" aria-hidden="true"></span>{escape(name)}</li>'
        for i, name in enumerate(names)
    ]
    return f'<ul class="legend">{"".join(items)}</ul>' if items else ""
