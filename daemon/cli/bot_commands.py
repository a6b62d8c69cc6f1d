"""`seatrial bot`: keys of the bots that trade through the gateway, and their states.

Rules of this file:
1. An HMAC secret is shown once, when it is made; of an Ed25519 key only the public half is taken.
2. What takes a right away needs no running daemon: the key's file is what counts.

Exit codes: those of `control.tool.failures`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from control.tool.command_frame import Failure, ask, confirm, done, said, wiring
from control.tool.commands_write import json_option, reason_option, unasked_option, yes_option
from control.tool.output import print_json
from daemon.cli.config_option import CONFIG, known_config
from daemon.errors import SeatrialError
from daemon.model.copies import replace
from daemon.settings import Config
from daemon.shell.gateway.bot_keys import BotKey, check_new, new_key, read_keys, write_key
from daemon.shell.gateway.snippets import CLIENTS, Address, snippet
from daemon.shell.process.clock import SystemClock, utc_text
from daemon.shell.process.secrecy import forbid_core_dumps
from daemon.shell.state.state_dir import prepare

FILE = click.Path(dir_okay=False, path_type=Path)
NAME = click.argument("name")


@click.group("bot")
def bot_group() -> None:
    """Bots that trade through the gateway: keys, states, client configurations."""
    forbid_core_dumps()


@bot_group.command("new")
@NAME
@CONFIG
@click.option(
    "--ed25519-public-key",
    "public_path",
    type=FILE,
    help="PEM file of the bot's own public key; without it an HMAC key is made.",
)
@click.option("--replace", "replaces", is_flag=True, help="In the place of the key that it has.")
@json_option
def bot_new(
    name: str, config_path: Path, public_path: Path | None, *, replaces: bool, as_json: bool
) -> None:
    """Issue a key for the bot NAME, whose table [bots.NAME] stands in the configuration.

    A secret is shown here and never again. A running daemon takes the key at once.
    """
    config = _config_of(config_path, name)
    try:
        pem = public_path.read_text(encoding="ascii") if public_path is not None else ""
        key = new_key(name, SystemClock().now_ns(), pem)
        check_new(config.settings.state_dir, name, replaces=replaces)
        prepare(config.settings.state_dir, passable=config.settings.is_passable)
        path = write_key(config.settings.state_dir, key)
    except (SeatrialError, OSError, UnicodeDecodeError) as error:
        raise Failure(str(error)) from error
    shown = {"bot": name, "kind": key.kind, "api_key": key.api_key}
    if key.secret:
        shown["secret"] = key.secret
    if as_json:
        print_json(shown)
        return
    click.echo(f"API key: {key.api_key}")
    if key.secret:
        click.echo(f"secret:  {key.secret}")
        click.echo("seatrial: the secret is not shown again", err=True)
    following = f"seatrial bot snippet {name} --config {config_path} --client ccxt"
    click.echo(f"seatrial: {path} (mode 0600); next: {following}", err=True)


@bot_group.command("list")
@CONFIG
@json_option
@click.pass_context
def bot_list(ctx: click.Context, config_path: Path, *, as_json: bool) -> None:
    """Every bot of the configuration: its key, and its state where the daemon runs."""
    config = _config_of(config_path)
    try:
        keys = {key.bot: key for key in read_keys(config.settings.state_dir)}
    except (SeatrialError, OSError) as error:
        raise Failure(str(error)) from error
    wiring(ctx).socket = wiring(ctx).socket or config.settings.socket_path
    try:
        live = ask(ctx, "status").get("bots", {})
    except Failure:
        live = {}
    rows = [_row(name, keys.get(name), live.get(name, {})) for name in config.settings.bots]
    if as_json:
        print_json({"bots": rows})
        return
    for row in rows:
        click.echo(
            f"{row['bot']:<16} key {row['key']:<28} state {row['state']:<10} "
            f"open {row['orders_open']}  seen {row['seen']}"
        )
    if not rows:
        click.echo("no bots: add a table [bots.NAME] to the configuration")


@bot_group.command("revoke")
@NAME
@CONFIG
@reason_option
@unasked_option
@json_option
@click.pass_context
def bot_revoke(
    ctx: click.Context, name: str, config_path: Path, *, reason: str, as_json: bool
) -> None:
    """Take the key of a bot away for good; a running daemon cancels its open orders.

    The name stays revoked. To change a key and keep the name: `bot new NAME --replace` instead.
    """
    config = _config_of(config_path, name)
    state_dir = config.settings.state_dir
    try:
        known = {key.bot: key for key in read_keys(state_dir)}
        key = known.get(name)
        if key is None:
            raise Failure(f"{name} has no key")
        now_ns = SystemClock().now_ns()
        write_key(state_dir, replace(key, secret="", revoked_ns=key.revoked_ns or now_ns))
    except (SeatrialError, OSError) as error:
        raise Failure(str(error)) from error
    wiring(ctx).socket = wiring(ctx).socket or config.settings.socket_path
    try:
        told = ask(ctx, "bot-revoke", bot=name, reason=reason)
    except Failure as failure:
        told = {"bot": name, "state": "revoked", "note": f"the daemon was not told: {failure}"}
    done(told, f"the key of {name} is revoked", as_json=as_json)


@bot_group.command("suspend")
@NAME
@reason_option
@unasked_option
@json_option
@click.pass_context
def bot_suspend(ctx: click.Context, name: str, *, reason: str, as_json: bool) -> None:
    """Refuse every new order of a bot until it is resumed; its orders and cancels go on."""
    told = ask(ctx, "bot-suspend", bot=name, reason=reason, as_json=as_json)
    done(told, f"{name} is suspended", as_json=as_json)


@bot_group.command("resume")
@NAME
@reason_option
@yes_option
@json_option
@click.pass_context
def bot_resume(ctx: click.Context, name: str, *, reason: str, yes: bool, as_json: bool) -> None:
    """Let a suspended bot place orders again."""
    confirm(f"Let {name} send orders again?", yes=yes)
    reason = said(reason, "bot resume", "reason", yes=yes)
    told = ask(ctx, "bot-resume", bot=name, reason=reason, as_json=as_json)
    done(told, f"{name} may place orders", as_json=as_json)


@bot_group.command("snippet")
@NAME
@CONFIG
@click.option("--client", type=click.Choice(sorted(CLIENTS)), required=True, help="Which client.")
def bot_snippet(name: str, config_path: Path, client: str) -> None:
    """Print the exact configuration of one client for the gateway; it holds no secret."""
    config = _config_of(config_path, name)
    settings = config.settings
    click.echo(snippet(client, Address.of(settings.gateway), settings.bots[name].symbols), nl=False)


def _row(name: str, key: BotKey | None, live: Mapping[str, Any]) -> dict[str, Any]:
    told = "none"
    if key is not None:
        told = "revoked" if key.revoked_ns else f"{key.kind} {key.fingerprint}"
    seen_ns = live.get("seen_ns") or 0
    return {
        "bot": name,
        "key": told,
        "state": live.get("state", "-"),
        "orders_open": live.get("orders_open", "-"),
        "seen": utc_text(seen_ns) if seen_ns else "-",
    }


def _config_of(path: Path, name: str | None = None) -> Config:
    config = known_config(path)
    if name is not None and name not in config.settings.bots:
        known = ", ".join(config.settings.bots) or "none"
        raise Failure(f"{path} has no table [bots.{name}]; it has: {known}")
    return config
