"""The commands that look: status, orders, positions, caps, incidents, tail, rpc."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from control.control_errors import ControlError
from control.methods import METHODS, schema
from control.tool.client import ControlClient
from control.tool.command_frame import (
    Failure,
    ask,
    failure_of,
    is_interactive,
    need_all,
    refuse_beyond_the_journal,
    said,
    wiring,
)
from control.tool.commands_write import json_option, reason_option, unasked_option
from control.tool.daemon_lookup import state_dir_behind
from control.tool.event_name import EventName
from control.tool.failures import EXIT_USAGE
from control.tool.gating_drills import run_gating_drills
from control.tool.incident_markdown import held_note
from control.tool.incident_view import incident_lines, lines_about, still_differs
from control.tool.output import print_json
from control.tool.status_command import console
from control.tool.status_command import run as run_status
from control.tool.status_text import (
    caps_table,
    event_line,
    incidents_table,
    orders_table,
    positions_table,
)

_ALL = 1_000_000


@click.command()
@json_option
@click.pass_context
def status(ctx: click.Context, *, as_json: bool) -> None:
    """State, latch, incidents, orders, caps: one screen, what matters first."""
    ctx.exit(run_status(str(wiring(ctx).socket_path), as_json=as_json))


def _table_command(
    name: str, make: Callable[[dict[str, Any]], Any], nothing: str, summary: str
) -> click.Command:
    """A command that shows one part of the snapshot."""

    @click.command(name, help=summary)
    @json_option
    @click.pass_context
    def show(ctx: click.Context, *, as_json: bool) -> None:
        result = ask(ctx, name, as_json=as_json)
        if as_json:
            print_json(result)
            return
        made = make(result)
        console().print(made if made is not None else Text(nothing))

    return show


orders = _table_command(
    "orders",
    lambda result: orders_table({"open_orders": result.get("orders")}, _ALL),
    "no open orders",
    "Every open order.",
)
positions = _table_command("positions", positions_table, "no positions", "Every position.")
_NO_CAPS = "no caps are set: every order is denied"


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def caps(ctx: click.Context, *, as_json: bool) -> None:
    """Every cap with its use; `caps set` makes one stricter."""
    if ctx.invoked_subcommand is not None:
        return
    result = ask(ctx, "caps", as_json=as_json)
    if as_json:
        print_json(result)
        return
    made = caps_table(result)
    console().print(made if made is not None else Text(_NO_CAPS))
    if made is not None:
        click.echo("Caps that do not fill up, as those of one order: `seatrial caps explain`")


@caps.command("set")
@click.argument("changes", nargs=-1, required=True, metavar="NAME=VALUE…")
@reason_option
@unasked_option
@json_option
@click.pass_context
def caps_set(ctx: click.Context, *, changes: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Make caps stricter, until [caps] of the file is edited; a restart alone ends none.

    NAME is a cap of the portfolio (orders_per_hour_max) or of a symbol
    (BTCUSDT.order_qty_base_max); VALUE a number, or words with commas between.
    """
    given: dict[str, Any] = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or not name or not value:
            raise click.UsageError(f"write it as NAME=VALUE, got {change!r}")
        scoped = "." in name and not name.startswith("symbols.")
        given[f"symbols.{name}" if scoped else name] = _cap_value(value)
        unknown_cap = wiring(ctx).unknown_cap
        if unknown_cap is not None and (problem := unknown_cap(name)):
            raise click.UsageError(problem)
    reason = said(reason, "caps set", "reason")
    result = ask(ctx, "caps-tighten", as_json=as_json, changes=given, reason=reason)
    if as_json:
        print_json(result)
    else:
        click.echo(f"stricter now: {', '.join(changes)}")


def _cap_value(text: str) -> int | str | list[str]:
    """Counts as integers, several words as a list, amounts and single words as they are."""
    if text.isdecimal():
        return int(text)
    return [word.strip() for word in text.split(",")] if "," in text else text


@click.group()
def incident() -> None:
    """Incidents: list, show, note, resolve. Unresolved ones block the next start."""


@incident.command("list")
@click.option("--unresolved", is_flag=True, help="Leave the resolved ones out.")
@json_option
@click.pass_context
def incident_list(ctx: click.Context, *, unresolved: bool, as_json: bool) -> None:
    """Incidents, one a line."""
    result = ask(ctx, "incidents", as_json=as_json, unresolved=unresolved)
    if as_json:
        print_json(result)
        return
    found = result.get("incidents", [])
    console().print(incidents_table(found) if found else Text("no incidents"))


@incident.command("show")
@click.argument("incident_id")
@click.option("--markdown", is_flag=True, help="As a note to file: timeline, answers to fill in.")
@json_option
@click.pass_context
def incident_show(ctx: click.Context, *, incident_id: str, markdown: bool, as_json: bool) -> None:
    """One incident: what, when, what differs, the last lines about it, what to type next."""
    result = ask(ctx, "incident", as_json=as_json, incident_id=incident_id)
    if as_json and not markdown:
        print_json(result)
        return
    held = ask(ctx, "events", tail=1_000, without=["input", "heartbeat"])
    if markdown:
        note = held_note(result, held.get("events", []), ask(ctx, "status"))
        click.echo(note, nl=False)
        return
    state_dir = state_dir_behind(wiring(ctx).socket_path)
    for line in incident_lines(result, ask(ctx, "status"), state_dir):
        click.echo(line)
    screen = console()
    for number, event in enumerate(lines_about(result, held.get("events", []))):
        if not number:
            click.echo("\nthe last lines about it")
        screen.print(event_line(event), soft_wrap=True)


@incident.command("note")
@click.argument("incident_id")
@click.argument("text")
@unasked_option
@json_option
@click.pass_context
def incident_note(ctx: click.Context, *, incident_id: str, text: str, as_json: bool) -> None:
    """Add a line to an incident."""
    result = ask(ctx, "incident-note", as_json=as_json, incident_id=incident_id, text=text)
    if as_json:
        print_json(result)
    else:
        click.echo(f"noted on {incident_id}")


@incident.command("resolve")
@click.argument("incident_id")
@click.option("--root-cause", default="", help="What caused it.")
@click.option("--remediation", default="", help="What was done about it.")
@click.option("--follow-up", default="", help="What will be done; 'none' is fine.")
@reason_option
@unasked_option
@json_option
@click.pass_context
def incident_resolve(
    ctx: click.Context,
    *,
    incident_id: str,
    root_cause: str,
    remediation: str,
    follow_up: str,
    reason: str,
    as_json: bool,
) -> None:
    """Close an incident; what is not given is asked for."""
    command = "incident resolve"
    need_all(
        command, {"root-cause": root_cause, "remediation": remediation, "follow-up": follow_up}
    )
    root_cause = said(root_cause, command, "root-cause")
    remediation = said(remediation, command, "remediation")
    follow_up = said(follow_up, command, "follow-up")
    found = [
        one
        for one in ask(ctx, "incidents", as_json=as_json).get("incidents", [])
        if one.get("incident_id") == incident_id
    ]
    stands = still_differs(found[0], ask(ctx, "status", as_json=as_json)) if found else ""
    result = ask(
        ctx,
        "incident-resolve",
        as_json=as_json,
        incident_id=incident_id,
        root_cause=root_cause,
        remediation=remediation,
        follow_up=follow_up,
        reason=reason,
    )
    if as_json:
        print_json(result)
    else:
        click.echo(f"{incident_id} resolved")
    if stands:
        click.echo(
            f"warning: it is resolved, and books and venue still differ: {stands}\n"
            "no session begins before `seatrial reconcile` is clean",
            err=True,
        )


INCOMPLETE = (
    "the time for one search is used up and older lines were not looked at; ask for fewer, or read "
    "the files (`seatrial journal status` names them)"
)


def line_of(ctx: click.Context, seq: int, *, as_json: bool) -> dict[str, Any]:
    """The journal's line of a number, wherever it still stands.

    Raises:
        Failure: there is none, with what there is.
    """
    refuse_beyond_the_journal(ctx, seq, as_json=as_json)
    found = ask(ctx, "events", as_json=as_json, seq=seq)
    if found.get("events"):
        line: dict[str, Any] = found["events"][0]
        return line
    why = (
        INCOMPLETE
        if found.get("incomplete")
        else (
            "it is archived, or longer than an answer may be (a checkpoint): "
            "`seatrial journal status` names the archive"
        )
    )
    raise Failure(f"line {seq} cannot be shown: {why}", as_json=as_json)


@click.command()
@click.option(
    "--type",
    "types",
    multiple=True,
    type=EventName(),
    metavar="TYPE",
    help="Only this event type; may be repeated.",
)
@click.option("--bot", default="", metavar="NAME", help="Only lines about this bot and its orders.")
@click.option("-n", "--lines", type=click.IntRange(0, 1_000), default=20, show_default=True)
@click.option("--inputs", is_flag=True, help="Also what the engine was told (every tick).")
@click.option("--no-follow", is_flag=True, help="Print the last lines and end.")
@click.option("--seq", type=click.IntRange(min=1), help="Print the line of this number and end.")
@click.option("--json", "as_json", is_flag=True, help="Journal lines as they are.")
@click.pass_context
def tail(
    ctx: click.Context,
    *,
    types: tuple[str, ...],
    bot: str,
    lines: int,
    inputs: bool,
    no_follow: bool,
    seq: int | None,
    as_json: bool,
) -> None:
    """Follow the journal as it is written; older lines come from its files.

    With --bot, lines from the files are those that name the bot; of lines that the daemon still
    holds, and of new ones, also all that its orders meet.
    """
    screen = console()
    without = [] if inputs or types else ["input"]

    def show(event: dict[str, Any]) -> None:
        if as_json:
            print_json(event)
        else:
            screen.print(event_line(event), soft_wrap=True)

    if seq is not None:
        show(line_of(ctx, seq, as_json=as_json))
        return
    if no_follow:
        asked = {"types": list(types), "without": without, "tail": lines}
        found = ask(ctx, "events", as_json=as_json, **asked, **({"bot": bot} if bot else {}))
        for event in found.get("events", []):
            show(event)
        if found.get("incomplete"):
            click.echo(f"seatrial: {INCOMPLETE}", err=True)
        return
    socket = wiring(ctx).socket_path
    try:
        with ControlClient(socket) as client:
            for event in client.follow(types, lines, without=without, bot=bot):
                show(event)
    except KeyboardInterrupt:
        sys.exit(0)
    except ControlError as error:
        raise failure_of(error, socket, as_json=as_json) from error


@click.group()
def rpc() -> None:
    """The control protocol itself."""


@rpc.command("schema")
def rpc_schema() -> None:
    """The protocol as JSON: methods, roles, params, errors. Needs no daemon."""
    print_json(schema())


@rpc.command("roles")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
def rpc_roles(as_json: bool) -> None:
    """Which method needs which role."""
    if as_json:
        print_json({spec.name: spec.needs.value for spec in METHODS.values()})
        return
    for spec in METHODS.values():
        click.echo(f"{spec.name:<17} {spec.needs:<9} {spec.summary}")


@rpc.command("call")
@click.argument("method")
@click.argument("params", nargs=-1)
@reason_option
@unasked_option
@click.pass_context
def rpc_call(ctx: click.Context, *, method: str, params: tuple[str, ...], reason: str) -> None:
    """Call METHOD with key=value PARAMS, print the result as JSON."""
    given: dict[str, Any] = {}
    for item in params:
        key, equals, value = item.partition("=")
        if not equals:
            raise Failure(f"params are key=value, got {item!r}", EXIT_USAGE)
        given[key] = value
    if reason or (method in METHODS and METHODS[method].reason_required):
        given["reason"] = said(reason, method, "reason")
    print_json(ask(ctx, method, as_json=True, **given))


@click.command()
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Save what it shows after a few seconds as SVG, and end.",
)
@click.pass_context
def watch(ctx: click.Context, *, picture: Path | None) -> None:
    """The daemon on one screen: state, caps, orders, events; k kills, c cancels all."""
    # Imported here: nobody who types `seatrial kill` waits for a screen library.
    from control.tool.watch_screen import WatchScreen  # noqa: PLC0415 - see above

    if picture is None and not is_interactive():
        raise Failure(
            "watch needs a terminal; for scripts there are `seatrial status --json` and "
            "`seatrial tail --json`",
            EXIT_USAGE,
        )
    screen = WatchScreen(wiring(ctx).socket_path)
    if picture is not None:
        screen.picture(picture)
    else:
        screen.run()


@click.group()
def gating() -> None:
    """The keys of a live host: drills, confirm tokens."""


@gating.command("drill")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
def gating_drill(*, as_json: bool) -> None:
    """Run drills A to G of the gating machine. Needs no daemon; no order exists to leave."""
    drills = run_gating_drills()
    passed = all(drill.passed for drill in drills)
    if as_json:
        print_json({"passed": passed, "drills": [drill.to_plain() for drill in drills]})
    else:
        for drill in drills:
            click.echo(
                f"{drill.drill}  {'pass' if drill.passed else 'FAIL'}  {drill.what:<58}"
                f"  {', '.join(drill.refusals) or drill.note}"
            )
    if not passed:
        raise Failure("a gating drill failed: do not arm this installation")


@gating.command("token")
@reason_option
@unasked_option
@json_option
@click.pass_context
def gating_token(ctx: click.Context, *, reason: str, as_json: bool) -> None:
    """Ask for a confirm token: single use, for the next start with this config and caps."""
    result = ask(ctx, "confirm-token", as_json=as_json, reason=reason)
    if as_json:
        print_json(result)
    elif result.get("needed"):
        click.echo(f"{result['token']}  (single use, within {result['expires_s']} s)")
    else:
        click.echo(result.get("note", "not needed"))
