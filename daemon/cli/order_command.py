"""`seatrial order ID`: one order's whole life, from the journal's files.

Exit codes: 0 the order was found, 1 it was not (or several have this id), 2 wrong usage.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import orjson

from control.tool.output import print_json
from control.tool.status_text import clean
from daemon.cli.journal_place import CONFIG, DIRECTORY, journal_of, tell_long_line
from daemon.model.ids import CLIENT_ORDER_ID_PREFIX
from daemon.model.records import EventType
from daemon.shell.journal.line_search import LineQuestion, fitting_lines

_NOT_CHECKPOINTS = (b'"event_type":"checkpoint"',)
_ID_FIELDS = ("client_order_id", "order_id")
_MS_NS = 1_000_000
_SHOWN_CHARS = 20
_TOLD_ELSEWHERE = {
    "seq", "ts", "ts_ns", "schema", "run_id", "session_id", "mode", "exchange", "event_type",
    "level", "is_error", "is_anomaly", "prev", "client_order_id", "symbol", "instrument_id",
    "decision", "counts", "order_id", "cum_qty", "ts_venue_ns", "ts_recv_ns", "strategy_id",
    "side", "order_type", "time_in_force", "reduce_only", "exec_id",
}  # fmt: skip
_REPORT_FIELDS = ("exec_type", "venue_status", "source", "reason")


@click.command("order")
@click.argument("order_id", metavar="ID")
@click.option("--decision", is_flag=True, help="Every input of the gate's decision.")
@CONFIG
@DIRECTORY
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
@click.pass_context
def order_command(
    ctx: click.Context,
    *,
    order_id: str,
    decision: bool,
    config: Path | None,
    directory: Path | None,
    as_json: bool,
) -> None:
    """One order's life: wish, decision, answers, fills, cancel, with the times between.

    ID is our client order id, the venue's order id, or the id that a bot gave. It is read from the
    journal's files: beside a running daemon and without one. What the engine was told is shown
    where the run journals it.
    """
    if not order_id:
        raise click.UsageError("the id is empty; name our client order id, the venue's, or a bot's")
    journal = journal_of(ctx, config, directory)
    try:
        found = names_of(journal, order_id)
        lines = lines_of_order(journal, found[0]) if len(found) == 1 else []
    except OSError as error:
        raise click.ClickException(str(error)) from error
    if not found:
        raise click.ClickException(f"{journal}: no order has the id {order_id}")
    if len(found) > 1:
        raise click.ClickException(
            f"{len(found)} orders have the id {order_id}; name one by our id: {' '.join(found)}"
        )
    if as_json:
        print_json({"client_order_id": found[0], "lines": lines})
        return
    for text in life(found[0], lines):
        click.echo(text)
    if decision:
        for line in lines:
            if line["event_type"] == EventType.ORDER_APPROVED:
                click.echo(f"\ndecision of line {line['seq']}")
                for text in _flat(line.get("decision")):
                    click.echo(f"  {text}")


def names_of(journal: Path, order_id: str) -> list[str]:
    """Our client order ids of the orders that have this id: ours, the venue's, or a bot's.

    Raises:
        OSError: a file cannot be read.
    """
    # Tables show our ids without their digest: then the beginning is enough.
    is_short = order_id.startswith(CLIENT_ORDER_ID_PREFIX) and len(order_id) >= _SHOWN_CHARS
    text = orjson.dumps(order_id)
    question = LineQuestion(groups=((text[:-1] if is_short else text,),), without=_NOT_CHECKPOINTS)
    found: dict[str, None] = {}
    for line in _read(fitting_lines(journal, question, on_long=tell_long_line)):
        owner = line.get("owner")
        ids = [line.get(field) for field in _ID_FIELDS]
        if isinstance(owner, Mapping):
            ids.append(owner.get("client_order_id"))
        named = order_id in ids or (is_short and str(ids[0]).startswith(order_id))
        if named and isinstance(line.get("client_order_id"), str):
            if line["client_order_id"] == order_id:
                return [order_id]
            found[line["client_order_id"]] = None
    return list(found)


def lines_of_order(journal: Path, client_order_id: str) -> list[dict[str, Any]]:
    """Every line that names the order, oldest first; not the checkpoints.

    Raises:
        OSError: a file cannot be read.
    """
    question = LineQuestion(groups=((orjson.dumps(client_order_id),),), without=_NOT_CHECKPOINTS)
    return list(_read(fitting_lines(journal, question)))


def _read(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The lines that can be read; `evidence verify` names the others."""
    for raw in lines:
        with suppress(orjson.JSONDecodeError):
            line = orjson.loads(raw)
            if isinstance(line, dict) and _has_envelope(line):
                yield line


def _has_envelope(line: Mapping[str, Any]) -> bool:
    kinds = {"event_type": str, "seq": int, "ts_ns": int}
    return all(type(line.get(name)) is kind for name, kind in kinds.items())


def life(client_order_id: str, lines: list[dict[str, Any]]) -> Iterator[str]:
    """The order's life as lines of text: what it is, each step with its time, what came of it."""
    wish = next((one for one in lines if one["event_type"] == EventType.ORDER_APPROVED), {})
    yield f"order     {clean(client_order_id)}"
    if wish:
        yield f"what      {_words(wish)}"
        yield f"wanted by {clean(wish.get('strategy_id'))}: {clean(wish.get('reason'))}"
        if owner := wish.get("owner"):
            yield f"bot's id  {clean(owner.get('client_order_id'))}"
        yield f"session   {clean(wish.get('session_id'))}"
    if venue_ids := dict.fromkeys(str(one["order_id"]) for one in lines if one.get("order_id")):
        yield f"venue id  {clean(', '.join(venue_ids))}"
    yield f"status    {_status(lines)}"
    yield ""
    yield f"{'seq':>8}  {'UTC':<15}  {'ms after':>10}  what"
    before_ns = 0
    for line in lines:
        ts_ns = int(line["ts_ns"])
        after = f"{(ts_ns - before_ns) / _MS_NS:,.3f}" if before_ns else ""
        time = ""
        try:
            at = datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC)
            time = f"{at:%H:%M:%S}.{ts_ns % 1_000_000_000 // 1_000:06d}"
            step = _step(line)
        except (KeyError, TypeError, ValueError, OSError, AttributeError, ArithmeticError):
            kind = clean(line["event_type"])
            step = f"{kind}: this line is damaged; `seatrial evidence verify` names it"
        yield f"{line['seq']:>8}  {time:<15}  {after:>10}  {step}"
        before_ns = ts_ns
    yield ""
    yield from _times(lines)


def _words(wish: Mapping[str, Any]) -> str:
    parts = [wish.get(key) for key in ("side", "qty", "symbol", "order_type", "time_in_force")]
    words = [clean(part) for part in parts if part]
    prices = (("at", wish.get("price")), ("stop", wish.get("stop_price")))
    words += [f"{name} {clean(price)}" for name, price in prices if price]
    return " ".join(words)


def _status(lines: Iterable[Mapping[str, Any]]) -> str:
    status, traded = "APPROVED", "0"
    for line in lines:
        if line["event_type"] == EventType.ORDER_STATE:
            status, traded = clean(line.get("new", "?")), clean(line.get("cum_qty", "?"))
    return f"{status}, {traded} traded"


def _step(line: Mapping[str, Any]) -> str:
    kind = str(line["event_type"])
    if kind == EventType.INPUT:
        told = line["input"]
        report = told.get("report", told)
        said = [clean(report[key]) for key in _REPORT_FIELDS if report.get(key)]
        if traded := report.get("cum_qty"):
            said.insert(2, f"{Decimal(traded):f}")
        return " ".join(["told:", clean(told.get("type")), *said])
    if kind == EventType.ORDER_APPROVED:
        decision = line["decision"]
        market, standing = (decision.get(key) or {} for key in ("market", "standing"))
        top = f"bid {clean(market.get('bid'))} ask {clean(market.get('ask'))}"
        state, position = clean(standing.get("trading_state")), clean(decision.get("position"))
        return f"approved: {top}, {state}, position {position}"
    if kind == EventType.ORDER_STATE:
        return f"{clean(line['old'])} -> {clean(line['new'])}: {clean(line['why'])}"
    said = [
        f"{key} {clean(value)}"
        for key, value in line.items()
        if key not in _TOLD_ELSEWHERE and value not in (None, "", False, [], {})
    ]
    return f"{kind}: {', '.join(said)}" if said else kind


def _times(lines: list[dict[str, Any]]) -> Iterator[str]:
    """How long the venue took to accept, to fill and to cancel, and what was traded."""
    first: dict[str, int] = {}
    for line in lines:
        kind = str(line["event_type"])
        first.setdefault(f"{kind} {line.get('new')}" if kind == EventType.ORDER_STATE else kind,
                         int(line["ts_ns"]))  # fmt: skip
    for name, begin, end in (
        ("approved to accepted", EventType.ORDER_APPROVED, "order_state ACCEPTED"),
        ("approved to first fill", EventType.ORDER_APPROVED, EventType.FILL),
        ("cancel asked to canceled", EventType.CANCEL_REQUESTED, "order_state CANCELED"),
    ):
        if begin in first and end in first:
            yield f"{name:<24}  {(first[end] - first[begin]) / _MS_NS:,.3f} ms"
    for fill in lines:
        if fill["event_type"] == EventType.FILL:

            def told(key: str, fill: Mapping[str, Any] = fill) -> str:
                return clean(fill.get(key, "?"))

            yield (
                f"fill {told('exec_id')}: {told('qty')} at {told('price')}, "
                f"fee {told('fee')} {told('fee_asset')}, {told('liquidity')}, line {fill['seq']}"
            )


def _flat(value: Any, name: str = "") -> Iterator[str]:
    """A decision's inputs, one a line, with the path to each."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _flat(one, f"{name}.{key}" if name else str(key))
    else:
        yield f"{clean(name)} = {clean(value)}"
