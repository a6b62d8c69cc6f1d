"""`seatrial sim`: the simulated venue as a process of its own.

What follows another venue's market, and what makes a certificate, is imported when it is asked for;
the collector is off until the venue serves: nothing that a start makes is garbage.
"""

import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
import uvloop

import daemon.shell.process.web_client  # noqa: F401 - it imports aiohttp as cheaply as may be
from control.tool.finite_range import FiniteRange
from daemon.shell.process.clock import SystemClock
from daemon.shell.process.tasks import spawn
from daemon.shell.process.whole_file import write_whole
from daemon.shell.sim_host.host import SimHost
from daemon.shell.sim_host.options import (
    Built,
    OptionError,
    SimOptions,
    balances_of,
    build,
    followed_specs,
    followed_venue,
)
from daemon.shell.sim_host.saved_venue import StateDir, StateError
from daemon.venues.hosts import environments
from daemon.venues.sim.fault_presets import menu
from daemon.venues.sim.followed_flow import FollowedFlow
from daemon.venues.sim.listed_symbols import DEFAULT_SYMBOLS
from daemon.venues.sim.request_limits import LimitConfig
from daemon.venues.sim.saved import pack

if TYPE_CHECKING:
    from daemon.shell.link.link_config import VenueEndpoints
    from daemon.shell.sim_host.market_follower import MarketFollower

EXIT_BAD_OPTION = 2


POSITIVE = FiniteRange(min=0, min_open=True)


@click.command("sim")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=0,
    show_default=True,
    type=click.IntRange(0, 65_535),
    help="0: with --state the port of the run before, else any that is free.",
)
@click.option("--seed", default=1, show_default=True, type=int, help="Same seed, same market.")
@click.option("--symbols", default=",".join(DEFAULT_SYMBOLS), show_default=True)
@click.option("--ledger", type=click.Path(path_type=Path), help="Write the ledger here on exit.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory: address, keys, books and ledger outlive an orderly end.",
)
@click.option("--tls", is_flag=True, help="https and wss, with a certificate of its own making.")
@click.option(
    "--replay",
    type=click.Path(path_type=Path),
    help="Recorded trades: time_ms,trade_id,taker_side,price,qty; csv or csv.gz.",
)
@click.option("--replay-symbol", default="", help="Default: the file's name up to its first '-'.")
@click.option("--speed", default=1.0, show_default=True, type=POSITIVE, help="Replay's pace.")
@click.option(
    "--follow",
    default="",
    type=click.Choice(["", *environments()]),
    metavar="ENVIRONMENT",
    help="Shadow: the market is this environment's public one; orders stay here. "
    "binance-spot-testnet, or another simulated venue (sim).",
)
@click.option("--follow-rest", default="", help="With --follow sim: its REST address.")
@click.option("--follow-streams", default="", help="With --follow sim: its stream address.")
@click.option("--ed25519-public-key", type=click.Path(path_type=Path), help="PEM: a second key.")
@click.option("--faults", default="none", show_default=True, help="A preset, or `list`.")
@click.option("--fault-seed", type=int, help="Default: --seed.")
@click.option(
    "--flow-rate",
    default=30.0,
    show_default=True,
    type=FiniteRange(min=0),
    help="Background events/s/symbol.",
)
@click.option("--balances", default="", help="ASSET=AMOUNT,… instead of the default grants.")
@click.option("--maker-ppm", default=1000, show_default=True, type=click.IntRange(0, 100_000))
@click.option("--taker-ppm", default=1000, show_default=True, type=click.IntRange(0, 100_000))
@click.option("--weight-per-minute", default=6_000, show_default=True, type=click.IntRange(1))
@click.option("--orders-per-10s", default=100, show_default=True, type=click.IntRange(1))
@click.option("--orders-per-day", default=200_000, show_default=True, type=click.IntRange(1))
@click.option(
    "--exchange-filters/--no-exchange-filters",
    default=True,
    show_default=True,
    help="Limits on the orders of all symbols together; some clients know none.",
)
@click.option("--wire", is_flag=True, help="The ledger keeps a row of every request, too.")
@click.option(
    "--ping-every",
    "ping_every_s",
    default=20.0,
    show_default=True,
    type=POSITIVE,
    help="Seconds.",
)
@click.option(
    "--connection-life",
    "connection_life_s",
    default=86_400.0,
    show_default=True,
    type=POSITIVE,
    help="Seconds.",
)
def sim_command(
    *,
    symbols: str,
    ledger: Path | None,
    faults: str,
    flow_rate: float,
    speed: float,
    balances: str,
    weight_per_minute: int,
    orders_per_10s: int,
    orders_per_day: int,
    **rest: object,
) -> None:
    """Run a simulated exchange on loopback, in Binance Spot's wire protocol.

    With --follow its market is the public one of a testnet, and orders are matched here against it:
    none leaves this process. Filters and prices are that venue's; there are no candles from before
    the start. `GET /sim/follow` tells how fresh each symbol is. It has been run against another
    simulated venue only (--follow sim), never against the real testnet's streams.

    Prints one JSON line when ready. SIGTERM or Ctrl-C writes the ledger and exits with 0; an option
    that cannot be used is one line on standard error and exit code 2.
    """
    if faults == "list":
        click.echo(menu())
        return
    try:
        options = SimOptions(
            symbols=tuple(name.strip().upper() for name in symbols.split(",") if name.strip()),
            ledger=ledger,
            faults=faults,
            flow_rate_per_s=flow_rate,
            speed=speed,
            balances=balances_of(balances),
            limits=LimitConfig(
                weight_per_minute=weight_per_minute,
                orders_per_10s=orders_per_10s,
                orders_per_day=orders_per_day,
            ),
            **rest,  # type: ignore[arg-type] # click checks them
        )
        if ledger is not None:
            _check_writable(ledger)
        clock = SystemClock()
        state = None if options.state is None else StateDir(options.state)
        endpoints = followed_venue(options)
        specs = [] if endpoints is None else followed_specs(endpoints, options.symbols)
        saved = None if state is None else state.saved()
        built = build(options, clock.now_ns(), saved, specs)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(options, built, clock, state, endpoints))
    except (OptionError, StateError, OSError) as error:
        click.echo(f"seatrial sim: {error}", err=True)
        sys.exit(EXIT_BAD_OPTION)


async def _serve(
    options: SimOptions,
    built: Built,
    clock: SystemClock,
    state: StateDir | None,
    endpoints: "VenueEndpoints | None",
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    host = SimHost(options, built, clock)
    asked_port = options.port or (state.known_port() if state else 0)
    with contextlib.ExitStack() as stack:
        tls, certificate = None, None
        if options.tls:
            if state is not None:
                home = state.directory
            else:
                made = tempfile.TemporaryDirectory(prefix="seatrial-sim-")
                home = Path(stack.enter_context(made))
            from daemon.shell.sim_host.tls import server_context  # noqa: PLC0415 - see above

            tls, certificate = server_context(home, options.host, clock)
        try:
            port = await host.start(asked_port, tls)
        except OSError as error:
            reason = error.strerror or str(error)
            raise OptionError(
                f"cannot listen on {options.host}:{asked_port}: {reason}; choose another --port"
            ) from error
        ready = _ready_line(options, built, port, certificate)
        if endpoints is not None:
            ready["follows"] = {
                "environment": endpoints.environment,
                "rest": endpoints.rest,
                "streams": endpoints.streams,
            }
        if state is not None:
            state.started(ready)
        click.echo(json.dumps(ready))
        sys.stdout.flush()
        gc.freeze()  # what a start makes lives for ever: full collections skip it
        gc.enable()
        if endpoints is None:
            await host.run(stop)
        else:
            follower = _follower(built, endpoints, clock)
            host.following = follower.facts
            async with asyncio.TaskGroup() as group:
                following = spawn(group, follower.run(), name="sim follower")
                await host.run(stop)
                following.cancel()
    now_ns = clock.now_ns()
    exchange = host.exchange
    if state is not None:
        state.ended(exchange.ledger.pieces(exchange.venue, now_ns), pack(exchange, options.seed))
    if options.ledger is not None:
        write_whole(options.ledger, exchange.ledger.pieces(exchange.venue, now_ns), 0o644)


def _follower(built: Built, endpoints: "VenueEndpoints", clock: SystemClock) -> "MarketFollower":
    """Who tells the venue the market of another one."""
    from daemon.shell.sim_host.market_follower import MarketFollower  # noqa: PLC0415 - see above

    flows = {
        symbol: flow
        for symbol, flow in built.exchange.venue.flows.items()
        if isinstance(flow, FollowedFlow)
    }

    def say(text: str) -> None:
        click.echo(f"seatrial sim: {text}", err=True)

    return MarketFollower(endpoints, flows, clock, say)


def _ready_line(
    options: SimOptions, built: Built, port: int, certificate: Path | None
) -> dict[str, object]:
    """Addresses and keys, as `seatrial init --sim` reads them."""
    place, secure = f"{options.host}:{port}", "s" if options.tls else ""
    ready: dict[str, object] = {
        "rest": f"http{secure}://{place}",
        "ws_api": f"ws{secure}://{place}/ws-api/v3",
        "streams": f"ws{secure}://{place}",
        "admin": f"http{secure}://{place}/sim",
        "api_key": built.api_key,
        "api_secret": built.api_secret,
        "pid": os.getpid(),
        "seed": options.seed,
        "symbols": list(options.symbols),
    }
    if built.replay:
        ready["replay"] = built.replay
    if built.ed25519_api_key:
        ready["ed25519_api_key"] = built.ed25519_api_key
    if certificate is not None:
        ready["certificate"] = str(certificate.absolute())
    return ready


def _check_writable(path: Path) -> None:
    """Find out now, not after a day's run, that the ledger cannot be written."""
    try:
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a directory")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OptionError(f"--ledger {path}: cannot be written: {error}") from error


if __name__ == "__main__":
    gc.disable()
    sim_command()
