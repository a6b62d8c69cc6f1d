"""`seatrial doctor`: prove host, clock, key, account and subscriptions, step by step, in words.

Exit codes: 0 every step passed; 1 a step failed (its sentence says what, its mend what to do);
2 the configuration or credentials cannot be used.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import click

from daemon.assembly import own_credentials
from daemon.errors import SeatrialError
from daemon.settings import SettingsError, load_config
from daemon.shell.clock import SystemClock
from daemon.shell.endpoints import urls_of
from daemon.shell.preflight import StepResult, run_preflight
from daemon.shell.price_paths import PriceCaps
from daemon.shell.secrecy import forbid_core_dumps

EXIT_STEP_FAILED = 1
EXIT_UNUSABLE = 2


@click.command("doctor")
@click.option(
    "--config", "config_path", required=True, type=click.Path(path_type=Path), help="Configuration."
)
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
def doctor_command(config_path: Path, *, as_json: bool) -> None:
    """Check a configuration against its venue, step by step; nothing is placed."""
    forbid_core_dumps()
    try:
        config = load_config(config_path)
        venue = config.settings.venue
        urls = urls_of(venue)
        credentials = own_credentials(config.settings)
    except SettingsError as error:
        _refuse("\n".join(f"{config_path}: {line}" for line in error.violations))
    except SeatrialError as error:
        _refuse(str(error))
    steps = [StepResult("config", ok=True, sentence=f"{config_path} is in order")]
    steps += asyncio.run(
        run_preflight(
            environment=venue.environment,
            rest=urls["rest"],
            ws_api=urls["ws_api"],
            streams=urls["streams"],
            credentials=credentials,
            symbols=venue.symbols,
            clock=SystemClock(),
            recv_window_ms=venue.recv_window_ms,
            prices=PriceCaps(config.capset.numeraire, config.capset.conversions),
        )
    )
    if as_json:
        plain = [asdict(step) for step in steps]
        click.echo(json.dumps({"ok": all(step.ok for step in steps), "steps": plain}))
    else:
        for step in steps:
            click.echo(f"{'ok  ' if step.ok else 'FAIL'}  {step.name:<12} {step.sentence}")
            if step.mend:
                click.echo(f"                    -> {step.mend}")
        bad = [step.name for step in steps if not step.ok]
        if bad:
            click.echo(f"\nnot ready: mend {bad[0]!r} first, then run this again")
        else:
            click.echo(f"\nready: all {len(steps)} steps passed, and nothing was placed")
    sys.exit(0 if all(step.ok for step in steps) else EXIT_STEP_FAILED)


def _refuse(message: str) -> NoReturn:
    for line in message.splitlines():
        click.echo(f"seatrial doctor: {line}", err=True)
    sys.exit(EXIT_UNUSABLE)
