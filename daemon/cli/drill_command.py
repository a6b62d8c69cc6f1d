"""`seatrial drill`: try the controls before they are needed; no order leaves.

Against the running daemon (NO_TRADE: no session may be on), or with `--sim` against a simulated
venue and a daemon of their own, whose ledger is looked at afterwards.

Exit codes: 0 every drill passed; 1 one failed, or could not be run; 3, 4, 5 as for every command
that asks the daemon (unreachable, forbidden, no answer in time).
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import orjson

from control.control_errors import ControlError
from control.tool.client import call
from control.tool.command_frame import Failure, ask
from control.tool.finite_range import FiniteRange
from daemon.demo.box_config import fitted_caps, write_box
from daemon.demo.processes import (
    DemoError,
    Process,
    fetch_ledger,
    until_ready,
)
from daemon.model.records import EventType
from daemon.shell.drills.drill_runner import DRILLS
from daemon.shell.process.clock import utc_text

SIM_SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
TIMEOUT_S = 122.0


@click.command("drill")
@click.argument("names", nargs=-1, type=click.Choice(DRILLS), metavar="[DRILL]…")
@click.option("--all", "every", is_flag=True, help="All of them (the default).")
@click.option("--sim", is_flag=True, help="Against a simulated venue and a daemon of their own.")
@click.option(
    "--timeout",
    "timeout_s",
    type=FiniteRange(min=0.1, max=3600),
    default=TIMEOUT_S,
    show_default=True,
    help="Seconds to wait for the answer.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer with a JSON array of results.")
@click.pass_context
def drill_command(
    ctx: click.Context,
    *,
    names: tuple[str, ...],
    every: bool,
    sim: bool,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Run drills: kill-switch, cap-rejection, disconnect, rate-limit, reconcile, gating.

    The daemon must have no session on. Results go into its journal; promotion asks for fresh ones.
    """
    if names and every:
        raise click.UsageError("name drills, or say --all")
    wanted: list[str | None] = list(names) or [None]
    if sim:
        try:
            results = _in_simulation(wanted)
        except (DemoError, ControlError) as error:
            raise Failure(f"drill --sim: {error}", as_json=as_json) from error
    else:
        answers = [
            ask(ctx, "drill", as_json=as_json, drill=name, timeout_s=timeout_s) for name in wanted
        ]
        results = [result for answer in answers for result in answer["drills"]]
    events = [_event(result) for result in results]
    if as_json:
        click.echo(orjson.dumps(events).decode())
    else:
        for result in results:
            _tell(result)
    failed = [str(result["drill"]) for result in results if not result["passed"]]
    if failed:
        text = f"failed: {', '.join(failed)}; do not start a session before it is understood"
        raise Failure(text)


def _event(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result as the journal has it, so that the gates read either."""
    stamp = utc_text(int(result["ts_ns"]))
    return {"ts": stamp, "event_type": EventType.DRILL.value, **result}


def _tell(result: Mapping[str, Any]) -> None:
    word = "pass" if result["passed"] else "FAIL"
    problem = result["detail"].get("problem", "")
    click.echo(f"{word}  {result['drill']:<14} {result['duration_ms']:>6} ms  {problem}".rstrip())


def _in_simulation(wanted: list[str | None]) -> list[dict[str, Any]]:
    """A venue and a daemon with the demo's caps; the venue's ledger must hold no order."""
    with tempfile.TemporaryDirectory(prefix="seatrial-drill-") as name:
        directory = Path(name)
        arguments = ["daemon.cli.sim_command", "--symbols", ",".join(SIM_SYMBOLS)]
        with Process("simulated venue", arguments, directory / "sim.log") as venue:
            ready = venue.read_json_line()
            caps = fitted_caps("demo", SIM_SYMBOLS, ready)
            tables = {"metrics": {"enabled": False}, "caps": caps}
            config = write_box(directory, ready, SIM_SYMBOLS, tables)
            command = ["daemon", "--config", str(config)]
            with Process("seatriald", command, directory / "seatriald.log") as daemon:
                socket = directory / "state" / "control.sock"
                until_ready(socket, daemon)
                results = [
                    result
                    for one in wanted
                    for result in call(socket, "drill", drill=one)["drills"]
                ]
            orders = len(fetch_ledger(str(ready["admin"]))["orders"])
    for result in results:
        result["detail"]["orders_in_venue_ledger"] = orders
        result["passed"] = result["passed"] and not orders
    return results


if __name__ == "__main__":
    drill_command()
