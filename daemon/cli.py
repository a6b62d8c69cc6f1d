"""The daemon's commands of the operator's tool: `sim`, `demo`. Mounted by `control.tool`."""

import json
import signal
import sys
import time
from pathlib import Path

import click

from control.errors import ControlError
from daemon.cli_sim import POSITIVE
from daemon.demo.plan import DemoOptions
from daemon.demo.processes import DemoError
from daemon.demo.run import Demo, caps_file, is_clean
from daemon.demo.screen import Screen
from daemon.venues.sim.fault_presets import PRESETS, menu

EXIT_FAILED = 1
EXIT_NOT_CLEAN = 2


@click.command("demo")
@click.option("--seconds", default=60, show_default=True, type=click.IntRange(6, 86_400))
@click.option("--seed", default=7, show_default=True, type=int)
@click.option(
    "--replay",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Recorded trades (time_ms,trade_id,taker_side,price,qty; csv or csv.gz) drive the venue.",
)
@click.option(
    "--speed", default=1.0, show_default=True, type=POSITIVE, help="Replay speed, as a factor."
)
@click.option(
    "--dir", "directory", type=click.Path(path_type=Path), help="Where the run's files go."
)
@click.option("--crash", "crashes", default=0, type=click.IntRange(0, 50), help="kill -9 so often.")
@click.option("--faults", default="none", show_default=True, help="A preset, or `list`.")
@click.option("--caps", default="demo", show_default=True, help="Caps preset.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object last, on standard output.")
def demo_command(
    *,
    seconds: int,
    seed: int,
    replay: Path | None,
    speed: float,
    directory: Path | None,
    crashes: int,
    faults: str,
    caps: str,
    as_json: bool,
) -> None:
    """Run a whole session against a simulated venue and judge it by the venue's own ledger.

    Exit codes: 0 nothing missing, no breach, nothing left open; 2 otherwise; 1 a step failed.
    """
    if faults == "list":
        click.echo(menu())
        return
    if faults not in PRESETS:
        raise click.BadParameter(
            f"{faults!r} is none of {', '.join(PRESETS)}; `--faults list` explains them",
            param_hint="--faults",
        )
    try:
        caps_file(caps)
    except DemoError as error:
        raise click.BadParameter(str(error), param_hint="--caps") from error
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    options = DemoOptions(
        seconds=seconds,
        seed=seed,
        replay=replay,
        speed=f"{speed:g}",
        directory=(directory or Path("demo-run") / stamp).resolve(),
        crashes=crashes,
        faults=faults,
        caps=caps,
        as_json=as_json,
    )
    # `kill` and systemd say SIGTERM: the venue and the daemon must not outlive the demo.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_FAILED))
    try:
        with Screen(as_json=as_json) as screen:
            result = Demo(options, screen).run()
    except (DemoError, ControlError, OSError) as error:
        click.echo(f"seatrial demo: {error}", err=True)
        click.echo(f"seatrial demo: its files are in {options.directory}", err=True)
        sys.exit(EXIT_FAILED)
    if as_json:
        click.echo(json.dumps(result))
    else:
        _tell(result)
    sys.exit(0 if is_clean(result) else EXIT_NOT_CLEAN)


def _tell(result: dict[str, object]) -> None:
    click.echo(f"\nverdict: {result['verdict']}")
    for key, value in result.items():
        if key != "verdict":
            click.echo(f"  {key:<30} {value}")
