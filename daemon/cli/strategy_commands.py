"""`seatrial strategy`: a strategy of your own, from the template to some minutes of a session.

Exit codes: 0 all is well; 2 `check` found something, or `run`'s verdict is not OK; 1 what was named
cannot be used, or a step failed.
"""

import importlib.util
import json
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import click

from control.control_errors import ControlError
from control.tool.finite_range import FiniteRange
from daemon.demo.box_config import caps_file
from daemon.demo.demo_screen import Screen, near, program
from daemon.demo.processes import DemoError
from daemon.own_strategy.class_place import class_place
from daemon.own_strategy.strategy_check import CheckResult, check_strategy
from daemon.own_strategy.strategy_run import StrategyRun, is_sound, summary
from daemon.own_strategy.strategy_template import TemplateError, write_strategy
from daemon.settings import Config, SettingsError, load_config
from daemon.shell.strategy_loader import StrategyConfigError
from daemon.venues.sim.listed_symbols import SYMBOLS

EXIT_UNUSABLE = 1
EXIT_FOUND = 2
_TARGET = click.argument("target", metavar="FILE:CLASS")
_PARAMS = click.option(
    "--param", "params", multiple=True, metavar="NAME=VALUE",
    help="A parameter of the strategy, as TOML: qty='\"0.001\"', period_ms=500; may be repeated.",
)  # fmt: skip
_SYMBOL = click.option(
    "--symbol", default="BTCUSDT", show_default=True,
    type=click.Choice(sorted(SYMBOLS)), metavar="SYMBOL", help="One of the simulated venue.",
)  # fmt: skip
_JSON = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")


@click.group("strategy")
def strategy_group() -> None:
    """A strategy of your own: write it, check it without a venue, run it for some minutes."""


@strategy_group.command("new")
@click.argument("name")
@click.option(
    "--dir", "directory", type=click.Path(file_okay=False, path_type=Path), default=Path(),
    help="Where the two files go; else here.",
)  # fmt: skip
def new_command(name: str, directory: Path) -> None:
    """Write a small strategy that works, and its tests, to begin with."""
    try:
        strategy, test, class_name = write_strategy(name, directory)
    except TemplateError as error:
        raise click.ClickException(str(error)) from error
    for path in (strategy, test):
        click.echo(f"wrote {path}")
    tool, target = program("seatrial"), f"{strategy}:{class_name}"
    click.echo("next:")
    if importlib.util.find_spec("pytest") is None:
        click.echo(f"  {program('python')} -m pip install pytest")
    own = f"-c /dev/null --rootdir {test.parent}"  # whatever pyproject.toml lies around them
    click.echo(f"  {program('python')} -m pytest {own} {test}")
    click.echo(f"  {tool} strategy check {target}")
    click.echo(f"  {tool} strategy run {target} --minutes 2")


@strategy_group.command("check")
@_TARGET
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path),
    help="Whether the strategies of this configuration that have the class fit.",
)  # fmt: skip
@_SYMBOL
@_PARAMS
@_JSON
def check_command(
    *, target: str, config_path: Path | None, symbol: str, params: tuple[str, ...], as_json: bool
) -> None:
    """Check a strategy without a venue; FILE.py:Class or package.module:Class.

    Its text is searched for calls that block or read a clock. Then a recording is played to it, in
    a process of its own: ticks, trades, every kind of report, refusal and denial, a lost
    connection, a restart. The same is played twice, and the same must be wished.
    """
    given = _values(params)
    try:
        config = None if config_path is None else _config(target, config_path)
        result = check_strategy(
            target, params=given, symbol=symbol, config=config, config_file=str(config_path or "")
        )
    except (StrategyConfigError, SettingsError) as error:
        for line in error.violations if isinstance(error, SettingsError) else [str(error)]:
            click.echo(f"seatrial strategy check: {line}", err=True)
        sys.exit(EXIT_UNUSABLE)
    if as_json:
        click.echo(json.dumps(_plain(result)))
    else:
        for one in result.findings:
            click.echo(one.text())
        for remark in result.remarks:
            click.echo(f"note: {remark}")
        many = len(result.findings)
        said = "nothing found" if not many else f"{many} problem{'s' if many > 1 else ''}"
        slowest = f"the slowest took {result.slowest_ms:.1f} ms of CPU"
        click.echo(f"{said}; {result.calls} calls played, {slowest}")
    sys.exit(EXIT_FOUND if result.findings else 0)


@strategy_group.command("run")
@_TARGET
@click.option(
    "--minutes", default=2.0, show_default=True, type=FiniteRange(0.05, 1_440),
    help="How long; Ctrl-C ends it in order before.",
)  # fmt: skip
@_SYMBOL
@click.option("--caps", default="testnet-strict", show_default=True, help="Caps preset, or a file.")
@click.option("--seed", default=7, show_default=True, type=int, help="The venue's seed.")
@click.option(
    "--out-dir", "--dir", "directory", type=click.Path(path_type=Path), help="Where its files go."
)
@_PARAMS
@_JSON
def run_command(
    *,
    target: str,
    minutes: float,
    symbol: str,
    caps: str,
    seed: int,
    directory: Path | None,
    params: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run a strategy for some minutes against a simulated venue, and judge the session.

    A daemon with this strategy alone, behind the caps, on this machine: the same programs as in a
    session on the testnet. At the end: orders, fills, denials, fees, equity, and the accountant's
    verdict over the venue's own books.
    """
    given = _values(params)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    home = (directory or Path("strategy-run") / stamp).absolute()
    try:
        caps_file(caps)
        place = class_place(target)
        run = StrategyRun(
            place, home, seconds=minutes * 60, symbol=symbol, caps=caps, seed=seed, params=given
        )
        with Screen(as_json=as_json) as screen:
            result = run.run(screen)
    except (StrategyConfigError, DemoError, ControlError, OSError) as error:
        click.echo(f"seatrial strategy run: {error}", err=True)
        if home.exists():
            click.echo(f"seatrial strategy run: its files are in {near(home, None)}", err=True)
        sys.exit(EXIT_UNUSABLE)
    click.echo(json.dumps(result) if as_json else "\n".join(summary(result)))
    sys.exit(0 if is_sound(result) else EXIT_FOUND)


def _config(target: str, path: Path) -> Config:
    """The configuration; the file's directory is on the import path, as at the daemon's start."""
    root = class_place(target).root
    if root is not None:
        sys.path.insert(0, str(root))
    return load_config(path)


def _values(params: tuple[str, ...]) -> dict[str, Any]:
    """`NAME=VALUE` as TOML has it; a bare word is text."""
    made: dict[str, Any] = {}
    for one in params:
        name, sign, value = one.partition("=")
        if not sign or not name.isidentifier():
            raise click.BadParameter(f"{one!r}: write NAME=VALUE", param_hint="--param")
        try:
            made[name] = tomllib.loads(f"it = {value}")["it"]
        except tomllib.TOMLDecodeError:
            made[name] = value
        if isinstance(made[name], float):
            made[name] = value  # amounts are text: nothing is rounded on its way
    return made


def _plain(result: CheckResult) -> dict[str, Any]:
    return {
        "ok": not result.findings,
        "findings": [
            {"file": one.file, "line": one.line, "what": one.what, "mend": one.mend}
            for one in result.findings
        ],
        "remarks": list(result.remarks),
        "calls": result.calls,
        "slowest_ms": result.slowest_ms,
    }
