"""The commands of the first day: init, completion."""

import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import get_completion_class

from control.control_errors import ControlError
from control.tool import caps_fit, init_wizard
from control.tool.command_frame import Failure, is_interactive, wiring
from control.tool.failures import EXIT_USAGE
from control.tool.output import print_json
from daemon.model.user_text import text_of

_SIM_FILE = "venue/sim.json"


def _choose(given: str | None, question: str, options: Sequence[str], default: str) -> str:
    """The value that was given, or the answer of a person, or the default."""
    if given is not None:
        return given
    if not is_interactive():
        return default
    answer: str = click.prompt(question, type=click.Choice(list(options)), default=default)
    return answer


def _symbols(given: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    if given or not is_interactive():
        return given or known
    answer: str = click.prompt("Symbols, separated by spaces", default=" ".join(known))
    return tuple(answer.upper().replace(",", " ").split())


def _offered(caps_text: str, sim: dict[str, Any] | None) -> tuple[str, ...]:
    """The symbols that the caps know; of these, where a sim has told, the ones that it lists."""
    known = caps_fit.symbols_of(caps_text)
    listed = sim.get("symbols", ()) if sim is not None else ()
    return tuple(symbol for symbol in known if symbol in listed) or known


def _fit(
    ctx: click.Context,
    caps_text: str,
    symbols: tuple[str, ...],
    environment: str,
    told: dict[str, Any] | None,
) -> tuple[str, list[str], tuple[str, ...]]:
    """The caps text with limits for every symbol; which were fitted; whose prices they need."""
    lacking = caps_fit.lacking(caps_text, symbols)
    facts_of = wiring(ctx).symbol_facts
    if not lacking or facts_of is None:
        return caps_text, [], ()
    urls = None if told is None else {name: str(told[name]) for name in init_wizard.SIM_URLS}
    try:
        text, watched = caps_fit.fit(
            caps_text, symbols, lambda names: facts_of(environment, urls, names)
        )
    except caps_fit.WizardError:
        raise
    except ControlError as error:
        known, absent = ", ".join(caps_fit.symbols_of(caps_text)), " and ".join(lacking)
        raise caps_fit.WizardError(
            f"{error}\ncaps of {absent} are drawn from what the venue says of it, and the venue "
            f"cannot be asked. Check the network, or that the simulated venue runs, and do this "
            f"again; or take a symbol that these caps know ({known}); or give a file of your own "
            f"that has [caps.symbols.{lacking[0]}] with --caps"
        ) from error
    return text, list(lacking), watched


def _free_port(wanted: int) -> int:
    """The wanted port of loopback when it is free, else one that is."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return wanted


def _sim_line(source: Any) -> dict[str, Any] | None:
    return None if source is None else init_wizard.read_sim(source.read())


def _asked_sim(environment: str) -> dict[str, Any] | None:
    """The sim's line, from the file that a person names; it is asked again until it is one."""
    while environment == "sim" and is_interactive():
        named = click.prompt("File with the line of `seatrial sim` (--sim)", _SIM_FILE)
        try:
            return init_wizard.read_sim(text_of(Path(named).read_bytes()))
        except UnicodeDecodeError:
            click.echo(f"{named}: is no text")
        except OSError as error:
            click.echo(
                f"{named}: {error.strerror}; `seatrial sim --state venue` writes {_SIM_FILE}"
            )
        except ControlError as error:
            click.echo(f"{named}: {error}")
    return None


def _tell(written: Sequence[Path], choices: init_wizard.Choices, fitted: Sequence[str]) -> None:
    """What was written, for a person, and what to do next."""
    for path in written:
        click.echo(f"wrote {path}")
    if (port := choices.metrics_port) != (usual := init_wizard.METRICS_PORT):
        click.echo(f"metrics port {port}, as {usual} is taken: http://127.0.0.1:{port}/")
    for symbol in fitted:
        click.echo(
            f"caps of {symbol} were fitted to its filters, price and volume; each line says why:"
        )
        for line in caps_fit.lines_of(choices.caps_text, symbol):
            click.echo(f"  {line}")
    for symbol in choices.watched:
        click.echo(f"{symbol} is in venue.symbols for its price; no strategy trades it")
    if len(written) > 1 and choices.sim is None:
        click.echo(
            f"next: put your testnet keys into {written[1]} (mode 0600); or `seatrial keys new` "
            f"makes an Ed25519 key, and `seatrial keys file --key key.pem --out {written[1]}` "
            "puts it there"
        )
    elif choices.key_source == "keyring":
        service = init_wizard.keyring_service(choices)
        click.echo(f"next: keyring set {service} api_key, and the same for api_secret")
    for note in init_wizard.price_notes(choices):
        click.echo(f"note: {note}")
    click.echo(f"then: seatrial doctor --config {written[0]}")
    click.echo(f"      seatriald --config {written[0]}")


@click.command()
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("seatrial-box"),
    show_default=True,
    help="Where the configuration and the state go.",
)
@click.option("--venue", type=click.Choice(init_wizard.ENVIRONMENTS), help="Which venue.")
@click.option("--caps", help="A caps preset by name, or a file with a [caps] table.")
@click.option("--symbol", "symbols", multiple=True, help="Trade this symbol; may be repeated.")
@click.option("--strategy", type=click.Choice(init_wizard.STRATEGIES), help="A built-in strategy.")
@click.option("--keys", type=click.Choice(init_wizard.KEY_SOURCES), help="Where the keys will be.")
@click.option("--sim", "sim", type=click.File(), help="The line `seatrial sim` printed (or -).")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
@click.pass_context
def init(
    ctx: click.Context,
    *,
    directory: Path,
    venue: str | None,
    caps: str | None,
    symbols: tuple[str, ...],
    strategy: str | None,
    keys: str | None,
    sim: Any,
    as_json: bool,
) -> None:
    """Write a configuration, step by step or from options, and check it."""
    if venue is None and sim is None and not is_interactive():
        raise Failure(
            "there is no terminal to ask at: say which venue, --sim FILE (the line of "
            "`seatrial sim`) or --venue binance-spot-testnet; the rest has defaults",
            EXIT_USAGE,
            as_json=as_json,
        )
    try:
        told = _sim_line(sim)
        environment = _choose(
            venue, "Venue", init_wizard.ENVIRONMENTS, "sim" if told else "binance-spot-testnet"
        )
        told = told or _asked_sim(environment)
        preset = _choose(caps, "Caps preset", list(init_wizard.presets()), "testnet-strict")
        preset_text = init_wizard.read_preset(preset)
        chosen = _symbols(symbols, _offered(preset_text, told))
        caps_text, fitted, watched = _fit(ctx, preset_text, chosen, environment, told)
        choices = init_wizard.Choices(
            directory=directory.absolute(),
            environment=environment,
            symbols=chosen,
            caps_text=caps_text,
            metrics_port=_free_port(init_wizard.METRICS_PORT),
            strategy=_choose(strategy, "Strategy", init_wizard.STRATEGIES, "quiet"),
            key_source=_choose(keys, "Keys in", init_wizard.KEY_SOURCES, "file"),
            sim=told,
            watched=watched,
        )
        written = init_wizard.write(choices)
    except ControlError as error:
        raise Failure(str(error), as_json=as_json) from error
    config = written[0]
    check = wiring(ctx).check_config
    problems = check(config) if check is not None else []
    if as_json:
        notes = init_wizard.price_notes(choices)
        print_json(
            {"written": [str(path) for path in written], "problems": problems, "notes": notes}
        )
    else:
        _tell(written, choices, fitted)
    if problems:
        raise Failure(f"{config} needs mending: {'; '.join(problems)}")


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, *, shell: str) -> None:
    """Print the completion script of a SHELL, for example: eval "$(seatrial completion bash)"."""
    made = get_completion_class(shell)
    if made is None:
        raise Failure(f"no completion for {shell}")
    root = ctx.find_root().command
    sys.stdout.write(made(root, {}, "seatrial", "_SEATRIAL_COMPLETE").source() + "\n")
