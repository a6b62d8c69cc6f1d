"""The operator's commands `demo` and its kin that the daemon's side brings."""

import json
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import click

from control.control_errors import ControlError
from daemon.cli.sim_command import POSITIVE
from daemon.demo.box_config import caps_file
from daemon.demo.demo_screen import Screen, near, program
from daemon.demo.lost_answers import BOTS, LostAnswers, is_safe, not_installed
from daemon.demo.lost_answers import told as scene_told
from daemon.demo.own_bot import OwnBotDemo, OwnBotOptions
from daemon.demo.own_bot import is_clean as own_clean
from daemon.demo.own_bot import told as own_told
from daemon.demo.plan import DemoOptions, recorded_symbol
from daemon.demo.processes import DemoError
from daemon.demo.run import Demo, is_clean
from daemon.venues.sim.fault_presets import PRESETS, menu
from daemon.venues.sim.listed_symbols import SYMBOLS

EXIT_FAILED = 1
EXIT_NOT_CLEAN = 2


@click.command("demo")
@click.option("--seconds", default=40, show_default=True, type=click.IntRange(6, 86_400))
@click.option("--seed", default=7, show_default=True, type=int)
@click.option(
    "--replay",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Recorded trades (time,trade_id,taker_side,price,qty; csv or csv.gz) drive the venue; the "
    "file's name begins with the symbol, for example BTCUSDT-2024.csv.",
)
@click.option(
    "--speed", default=1.0, show_default=True, type=POSITIVE, help="Replay speed, as a factor."
)
@click.option(
    "--out-dir",
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    help="Where the run's files go.",
)
@click.option("--crash", "crashes", default=0, type=click.IntRange(0, 50), help="kill -9 so often.")
@click.option("--faults", default="none", show_default=True, help="A preset, or `list`.")
@click.option("--caps", default="demo", show_default=True, help="Caps preset.")
@click.option(
    "--bot",
    type=click.Choice(BOTS),
    help="The scene of the lost answers with this bot: straight at the venue, then through the "
    "gateway.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object last, on standard output.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
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
    bot: str | None,
    as_json: bool,
    command: tuple[str, ...],
) -> None:
    """Run a whole session against a simulated venue and judge it by the venue's own ledger.

    With a COMMAND after `--`, that program trades through the gateway, unmodified: it finds the
    address and a key in $SEATRIAL_REST, $SEATRIAL_KEY, $SEATRIAL_SECRET, or in place of the words
    {rest} {ws_api} {streams} {key} {secret} {symbol} {pair} {config:ccxt} {config:freqtrade}.
    It is ended after --seconds. Only --out-dir, --seed and --json go with it.

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
    if replay is not None and (named := recorded_symbol(replay)) not in SYMBOLS:
        raise click.BadParameter(
            f"{replay.name} begins with {named!r}, which is no symbol of the simulated venue; name "
            f"it SYMBOL-….csv, with one of {', '.join(SYMBOLS)}",
            param_hint="--replay",
        )
    try:
        caps_file(caps)
    except DemoError as error:
        raise click.BadParameter(str(error), param_hint="--caps") from error
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    if bot is not None:
        _bot_scene(
            (directory or Path("demo-run") / f"{stamp}-{bot}").resolve(), bot, seed, as_json=as_json
        )
    if command:
        home = (directory or Path("demo-run") / f"{stamp}-bot").resolve()
        own = OwnBotOptions(home, command, seconds, seed)
        _finish(home, lambda screen: OwnBotDemo(own, screen).run(), own_told, own_clean, as_json)
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
    home = options.directory
    _finish(home, lambda screen: Demo(options, screen).run(), told, is_clean, as_json)


def _bot_scene(directory: Path, bot: str, seed: int, *, as_json: bool) -> NoReturn:
    if why := not_installed(bot):
        click.echo(f"seatrial demo: {why}", err=True)
        sys.exit(EXIT_FAILED)
    _finish(
        directory,
        lambda screen: LostAnswers(directory, bot=bot, seed=seed, screen=screen).run(),
        scene_told,
        is_safe,
        as_json,
    )


def _finish(
    directory: Path,
    run: Callable[[Screen], dict[str, Any]],
    words: Callable[[Mapping[str, Any]], list[str]],
    is_good: Callable[[Mapping[str, Any]], bool],
    as_json: bool,
) -> NoReturn:
    """Run a demo, tell its result, exit with its code."""
    try:
        with Screen(as_json=as_json) as screen:
            # `kill` and systemd say SIGTERM: the venue and the daemon must not outlive the demo.
            signal.signal(signal.SIGTERM, lambda *_: screen.end(EXIT_FAILED))
            result = run(screen)
    except (DemoError, ControlError, OSError) as error:
        click.echo(f"seatrial demo: {error}", err=True)
        click.echo(f"seatrial demo: its files are in {directory}", err=True)
        sys.exit(EXIT_FAILED)
    click.echo(json.dumps(result) if as_json else "\n".join(words(result)))
    sys.exit(0 if is_good(result) else EXIT_NOT_CLEAN)


def told(result: Mapping[str, Any], *, here: Path | None = None) -> list[str]:
    """The result for a person: what was compared, the stop, the files, what to do next."""
    empty_ms = result["kill_empty_ms"]
    proven = "NOT verified empty" if empty_ms is None else f"verified empty in {empty_ms:.1f} ms"
    traded = f"{result['orders_submitted']} orders, {result['fills']} fills"
    missing = f"{result['orders_missing_from_journal']} orders missing"
    missing += f", {result['fills_missing_from_journal']} fills missing"
    lines = [
        "",
        f"verdict: {result['verdict']}",
        f"  {traded}; wishes denied by caps: {result['denied']}",
        "  against the venue's own books:",
        f"    {missing}, {result['cap_breaches_at_venue']} caps breached",
        f"  kill: gate closed in {result['kill_gate_ms']:.3f} ms,",
        f"    venue {proven}, {result['open_orders_after_kill']} orders left open",
    ]
    anchored = ", ".join(result["anchored_by"]) or "nothing outside of this box"
    if left := result["uncovered_lines"]:
        anchored += f", but for the last {left} lines"
    lines += [
        f"  anchored by: {anchored};",
        "    testnet evidence needs a witness or the testnet's own list (docs/ANCHORS.md)",
        *(f"  {line}" for line in _faults(result)),
    ]
    names = {
        "report": "evidence_html",
        "as text": "evidence_md",
        "journal": "journal",
        "venue": "ledger",
    }
    lines += ["", "files"]
    lines += [f"  {name:<9} {near(result[key], here)}" for name, key in names.items()]
    journal = Path(result["journal"])
    directory = journal if journal.suffix != ".jsonl" else journal.parent
    return [
        *lines,
        "",
        "next: open the report in a browser; then let every cap be decided again:",
        f"  {program('python')} -m evidence.recheck {near(directory, here)}",
        'A box of your own: README.md, "First run against a venue".',
    ]


def _faults(result: Mapping[str, Any]) -> list[str]:
    """What was done to the session on purpose, and what it led to."""
    told = []
    if injected := result.get("faults_injected"):
        told.append("injected: " + ", ".join(f"{name} {n}" for name, n in injected.items()))
    if incidents := result.get("incidents"):
        told.append(f"incidents: {', '.join(incidents)}")
    if reasons := result.get("reasons"):
        told.append(f"reasons: {'; '.join(map(str, reasons))}")
    if "restarts" in result:
        told.append(
            f"kill -9 and restart: {result['restarts']} times, "
            f"{result['recovered_fills']} fills recovered"
        )
    return told
