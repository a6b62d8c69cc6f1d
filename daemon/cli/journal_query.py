"""`seatrial journal query`: the lines of a journal that answer a question, from its files.

Exit codes: 0 something was found, 1 nothing was or a file cannot be read, 2 wrong usage.
"""

import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import orjson
from rich.text import Text

from control.server.line_filter import bot_filter
from control.tool.event_name import EventName
from control.tool.status_command import console
from control.tool.status_text import clean, event_line
from daemon.cli.journal_place import CONFIG, DIRECTORY, journal_of, tell_long_line
from daemon.model.records import EventType
from daemon.shell.journal.line_search import LineQuestion, fitting_lines
from daemon.shell.process.clock import SystemClock

_AGO = re.compile(r"^(\d+)(s|m|h|d)$")
_AGO_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_NS = 1_000_000_000
_NS_DIGITS = 19
_LEVELS = ("error", "anomaly")


class Moment(click.ParamType[int]):
    """A time: `10m` ago, `14:30` of today, an ISO date or time (UTC unless it says), or ns."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Nanoseconds since 1970 UTC."""
        text = str(value).strip()
        now_ns = SystemClock().now_ns()
        if match := _AGO.match(text):
            return now_ns - int(match[1]) * _AGO_S[match[2]] * _NS
        if text.isdecimal() and len(text) == _NS_DIGITS:
            return int(text)
        today = datetime.fromtimestamp(now_ns // _NS, UTC).date()
        try:
            at = datetime.fromisoformat(
                f"{today}T{text}" if re.match(r"^\d\d:\d\d", text) else text
            )
        except ValueError:
            self.fail(
                f"{text!r}: write 10m (ago: s, m, h, d), 14:30, 2026-11-30, 2026-11-30T14:30:05Z, "
                "or nanoseconds",
                param,
                ctx,
            )
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1_000


@click.command("query")
@click.option(
    "--type",
    "types",
    multiple=True,
    type=EventName(),
    metavar="TYPE",
    help="Only this event type; may be repeated.",
)
@click.option("--symbol", help="Only lines about this symbol.")
@click.option("--order", "order_id", metavar="ID", help="Only lines that name this order.")
@click.option("--bot", metavar="NAME", help="Only lines about this bot and its orders.")
@click.option("--level", type=click.Choice(_LEVELS), help="Only errors, or anomalies and errors.")
@click.option(
    "--since", type=Moment(), help="From this time on: 10m (ago), 14:30, 2026-11-30T14:30Z."
)
@click.option("--until", type=Moment(), help="Before this time.")
@click.option("--inputs", is_flag=True, help="Also what the engine was told (every tick).")
@click.option("-n", "--last", type=click.IntRange(min=1), help="Only the last so many.")
@click.option("--count", "count_only", is_flag=True, help="Only say how many there are.")
@CONFIG
@DIRECTORY
@click.option("--json", "as_json", is_flag=True, help="Journal lines as they are.")
@click.pass_context
def query_command(
    ctx: click.Context,
    *,
    types: tuple[str, ...],
    symbol: str | None,
    order_id: str | None,
    bot: str | None,
    level: str | None,
    since: int | None,
    until: int | None,
    inputs: bool,
    last: int | None,
    count_only: bool,
    config: Path | None,
    directory: Path | None,
    as_json: bool,
) -> None:
    """Find lines by type, symbol, order, bot, time or level, in all files, packed ones too.

    Works beside a running daemon and without one. Oldest first. `seatrial order ID` tells one
    order's life, `seatrial tail` follows what comes.
    """
    journal = journal_of(ctx, config, directory)
    question = LineQuestion(
        groups=tuple(_groups(types, symbol, order_id, level)),
        without=tuple(_without(types, inputs=inputs, is_narrow=bool(order_id or bot))),
        since_ns=since or 0,
        until_ns=until,
    )
    lines = _found(journal, question, bot_filter(bot, ()) if bot else None)
    try:
        if count_only:
            found = sum(1 for _ in lines)
            click.echo(found)
        else:
            found = _show(lines if last is None else deque(lines, maxlen=last), as_json=as_json)
    except OSError as error:
        raise click.ClickException(str(error)) from error
    if not found:
        if not count_only:
            click.echo(f"seatrial: no line of {journal} fits", err=True)
        ctx.exit(1)


def _groups(
    types: Iterable[str], symbol: str | None, order_id: str | None, level: str | None
) -> Iterator[tuple[bytes, ...]]:
    """What a line must have, the rarest first."""
    if order_id:
        yield (orjson.dumps(order_id),)
    if level:
        errors = (b'"is_error":true',)
        yield errors if level == "error" else (*errors, b'"is_anomaly":true')
    if types:
        yield tuple(f'"event_type":"{one}"'.encode() for one in types)
    if symbol:
        yield (orjson.dumps(symbol), orjson.dumps(f"{symbol}@")[:-1])


def _without(types: Iterable[str], *, inputs: bool, is_narrow: bool) -> Iterator[bytes]:
    """A checkpoint names every order and bot; that is seldom what is asked for."""
    wanted = set(types)
    if not inputs and not wanted:
        yield b'"event_type":"input"'
    if is_narrow and EventType.CHECKPOINT.value not in wanted:
        yield b'"event_type":"checkpoint"'


def _found(
    journal: Path, question: LineQuestion, passes: Callable[[bytes], bool] | None
) -> Iterator[bytes]:
    return fitting_lines(
        journal, question, passes=passes, on_segment=_progress(), on_long=tell_long_line
    )


def _progress() -> Callable[[int, int], None]:
    """Where somebody looks and nothing else is on the screen: which file is read."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        return lambda _at, _of: None
    return lambda at, of: click.echo(f"\rreading file {at + 1} of {of} ", nl=at + 1 == of, err=True)


def _show(lines: Iterable[bytes], *, as_json: bool) -> int:
    shown = 0
    screen = console()
    for line in lines:
        shown += 1
        if as_json:
            click.echo(line)
        else:
            screen.print(_for_people(line), soft_wrap=True)
    return shown


def _for_people(line: bytes) -> Text:
    try:
        return event_line(orjson.loads(line))
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        return Text(f"damaged line: {clean(line.decode(errors='replace'))}", style="red")
