"""The commands that do something: start, stop, kill and their kin."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from control.tool.command_frame import (
    Failure,
    ask,
    confirm,
    done,
    refuse_beyond_the_journal,
    said,
    wiring,
)
from control.tool.finite_range import FiniteRange
from control.tool.kill_command import SILENT_S, TIMEOUT_S, KillOptions, run
from daemon.model.user_text import one_line

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
reason_option = click.option(
    "--reason",
    default="",
    callback=lambda _ctx, _option, text: one_line(text),
    help="Why; goes into the record, on one line.",
)
yes_option = click.option("--yes", is_flag=True, help="Ask nothing (for scripts).")
unasked_option = click.option(
    "--yes",
    is_flag=True,
    expose_value=False,
    help="Taken as everywhere; this command asks nothing back.",
)
"""Of a command that stops or tightens: one manner for all, and a stop is never asked about."""
symbol_option = click.option("--symbol", help="Only this symbol, for example BTCUSDT.")


def timeout_option(default_s: float) -> Callable[[F], F]:
    """How long to wait for the answer; the deed goes on regardless."""
    return click.option(
        "--timeout",
        "timeout_s",
        type=FiniteRange(min=0.1, max=3600),
        default=default_s,
        show_default=True,
        help="Seconds to wait for the answer.",
    )


@click.command()
@reason_option
@yes_option
@click.option("--token", "wants_token", is_flag=True, help="Type a confirm token (live hosts).")
@timeout_option(32.0)
@json_option
@click.pass_context
def start(
    ctx: click.Context,
    *,
    reason: str,
    yes: bool,
    wants_token: bool,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Start a session: strategies may send orders, within the caps."""
    confirm("Start a session? Strategies will send orders within the caps.", yes=yes)
    token: str | None = None
    if wants_token:
        token = click.prompt("Confirm token", hide_input=True)
    result = ask(
        ctx, "start", as_json=as_json, reason=reason, confirm_token=token, timeout_s=timeout_s
    )
    session = result.get("session_id", "")
    text = f"session {session} started" if session else "started"
    if note := result.get("gating"):
        text += f" ({note})"
    done(result, text, as_json=as_json)


@click.command()
@reason_option
@unasked_option
@click.option("--direct", is_flag=True, help="Without the daemon: cancel at the venue from here.")
@click.option(
    "--or-direct",
    "or_direct_s",
    is_flag=False,
    flag_value=SILENT_S,
    type=FiniteRange(min=0.05, max=3600),
    metavar="[=SECONDS]",
    help="Ask the daemon; if it says nothing for so long (2 s), do it from here.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The daemon's config, for --direct [$SEATRIAL_CONFIG, /etc/seatrial/NAME.toml].",
)
@click.option("--bot", default="", help="Only this bot: latch it, cancel its orders.")
@timeout_option(TIMEOUT_S)
@json_option
@click.pass_context
def kill(
    ctx: click.Context,
    *,
    reason: str,
    bot: str,
    direct: bool,
    or_direct_s: float | None,
    config: Path | None,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Stop now and stay stopped: latch, cancel everything of ours, verify at the venue.

    Only `seatrial re-arm --reason …` opens the latch again. With --direct it works while the
    daemon hangs, is stopped, or is dead.
    """
    if bot:
        if direct or or_direct_s is not None:
            raise click.UsageError("--bot needs the daemon: leave out --direct and --or-direct")
        told = ask(ctx, "bot-kill", as_json=as_json, bot=bot, reason=reason, timeout_s=timeout_s)
        way = f"`seatrial bot resume {bot}` lets it in, unless it was revoked"
        done(told, f"{bot} is killed; {way}", as_json=as_json)
        return
    asked = KillOptions(
        socket=str(wiring(ctx).socket or ""),
        reason=reason,
        direct=direct,
        or_direct_s=or_direct_s,
        config=str(config or ""),
        timeout_s=timeout_s,
        as_json=as_json,
    )
    ctx.exit(run(asked, wiring(ctx).direct_kill))


@click.command()
@reason_option
@unasked_option
@timeout_option(62.0)
@json_option
@click.pass_context
def stop(ctx: click.Context, *, reason: str, timeout_s: float, as_json: bool) -> None:
    """End the session in order: no new orders, cancel, reconcile. The daemon goes on."""
    result = ask(ctx, "stop", as_json=as_json, reason=reason, timeout_s=timeout_s)
    done(result, "session stopped", as_json=as_json)


@click.command("cancel-all")
@symbol_option
@reason_option
@unasked_option
@timeout_option(12.0)
@json_option
@click.pass_context
def cancel_all(
    ctx: click.Context,
    *,
    symbol: str | None,
    reason: str,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Cancel our open orders. Nothing is latched; strategies may place new ones."""
    result = ask(
        ctx, "cancel-all", as_json=as_json, symbol=symbol, reason=reason, timeout_s=timeout_s
    )
    done(result, f"cancel-all sent for {symbol or 'every symbol'}", as_json=as_json)


@click.command()
@reason_option
@unasked_option
@timeout_option(62.0)
@json_option
@click.pass_context
def shutdown(ctx: click.Context, *, reason: str, timeout_s: float, as_json: bool) -> None:
    """End the daemon in order: stop the session, cancel, flush, exit 0."""
    result = ask(ctx, "shutdown", as_json=as_json, reason=reason, timeout_s=timeout_s)
    done(result, "the daemon is shutting down", as_json=as_json)


@click.command("re-arm")
@reason_option
@yes_option
@timeout_option(32.0)
@json_option
@click.pass_context
def re_arm(
    ctx: click.Context,
    *,
    reason: str,
    yes: bool,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Open the kill latch. Needs a clean reconciliation and no unresolved incident."""
    confirm("Open the kill latch? A session can be started after that.", yes=yes)
    reason = said(reason, "re-arm", "reason", yes=yes)
    result = ask(ctx, "re-arm", as_json=as_json, reason=reason, timeout_s=timeout_s)
    done(result, "re-armed; start a session with `seatrial start`", as_json=as_json)


@click.command()
@reason_option
@unasked_option
@timeout_option(62.0)
@json_option
@click.pass_context
def reconcile(ctx: click.Context, *, reason: str, timeout_s: float, as_json: bool) -> None:
    """Compare our books with the venue's now; exit code 1 when they differ."""
    result = ask(ctx, "reconcile", as_json=as_json, reason=reason, timeout_s=timeout_s)
    clean = result.get("clean")
    if clean is False:
        why = result.get("why") or "see `seatrial status`"
        raise Failure(f"NOT clean: {why}", as_json=as_json, data=result)
    done(result, "clean" if clean else "reconciliation asked for", as_json=as_json)


@click.command("re-enable")
@reason_option
@yes_option
@json_option
@click.pass_context
def re_enable(ctx: click.Context, *, reason: str, yes: bool, as_json: bool) -> None:
    """Let strategies send again after a cap has disabled them."""
    confirm("Let strategies send orders again?", yes=yes)
    reason = said(reason, "re-enable", "reason", yes=yes)
    result = ask(ctx, "re-enable", as_json=as_json, reason=reason)
    done(result, "re-enabled", as_json=as_json)


@click.command()
@symbol_option
@reason_option
@yes_option
@timeout_option(132.0)
@json_option
@click.pass_context
def flatten(
    ctx: click.Context,
    *,
    symbol: str | None,
    reason: str,
    yes: bool,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Close positions, sliced within the caps, reduce-only; says what is left, if anything is.

    The config must allow it. The session ends with it.
    """
    confirm(f"Send orders that close {symbol or 'every position'}?", yes=yes)
    reason = said(reason, "flatten", "reason", yes=yes)
    result = ask(ctx, "flatten", as_json=as_json, symbol=symbol, reason=reason, timeout_s=timeout_s)
    text = f"{symbol or 'every position'}: {result.get('text', 'ended')}; the session has ended"
    done(result, text, as_json=as_json)


@click.command()
@click.argument("seq", type=click.IntRange(min=0))
@click.option("--reason", "--why", "reason", default="", help="Why; part of the evidence.")
@unasked_option
@json_option
@click.pass_context
def explain(ctx: click.Context, *, seq: int, reason: str, as_json: bool) -> None:
    """Attach a reason to a journal line, as to an error or anomaly, by its SEQ (see `tail`)."""
    refuse_beyond_the_journal(ctx, seq, as_json=as_json)
    why = said(reason, "explain", "reason")
    result = ask(ctx, "explain", as_json=as_json, seq=seq, why=why)
    from control.tool.status_text import event_line  # noqa: PLC0415 - a stop waits for no screen

    found = {} if as_json else ask(ctx, "events", seq=seq, tail=1)
    about = "".join(f": {event_line(line).plain}" for line in found.get("events", []))
    done(result, f"explained line {seq}{about}", as_json=as_json)
