"""What `seatrial init` writes: a configuration and, for keys in a file, a credentials file.

Rules of this file:
1. Pure but for `write`: choices in, texts out.
2. Nothing that exists is overwritten, and no secret ever enters the configuration.
3. Caps come from a preset as it stands, comments included: people read them there.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from control.tool.caps_fit import WizardError, symbols_of
from control.tool.daemon_lookup import CONFIG_NAME
from daemon.model.user_text import text_of

METRICS_PORT = 9_464
CREDENTIALS_NAME = "credentials.toml"
ENVIRONMENTS = ("sim", "binance-spot-testnet")
STRATEGIES = ("quiet", "heartbeat", "quoter")
KEY_SOURCES = ("file", "systemd", "keyring")
_PRESET_PLACES = (
    Path(__file__).parents[2] / "deploy" / "caps",
    Path("/usr/share/seatrial/caps"),
    Path("/opt/seatrial/share/caps"),
)
SIM_URLS = ("rest", "ws_api", "streams")
_VENUE_CHOICES = (
    "# What most boxes leave as it is (every key: docs/CONFIG.md):",
    '# order_road = "ws"           # or "rest": placements and cancels by REST',
    "# depth_symbols = []          # symbols whose best prices come from a synced depth book",
    "# with_trades = true          # public trades, for strategies and collars that use them",
    "# recv_window_ms = 3000       # how long a stuck request may still be executed",
    "# reply_deadline_ms = 5000    # without an answer by then an order is UNKNOWN",
    "# ping_doubt_ms = 1000        # unanswered for so long: ask whether the connection lives",
    "# snapshot_lookups_max = 100  # look-ups of unknown orders that one reconciliation may make",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Everything the wizard asks."""

    directory: Path
    environment: str
    symbols: tuple[str, ...]
    caps_text: str
    strategy: str
    key_source: str
    sim: Mapping[str, Any] | None = None
    """The line that `seatrial sim` printed; None elsewhere."""
    metrics_port: int = METRICS_PORT
    """One that was free when we looked."""
    watched: tuple[str, ...] = ()
    """Symbols that are not traded: their prices value what is."""


def presets() -> dict[str, Path]:
    """The caps presets that this installation has, by name."""
    found: dict[str, Path] = {}
    for place in reversed(_PRESET_PLACES):
        if place.is_dir():
            found |= {path.stem: path for path in sorted(place.glob("*.toml"))}
    return dict(sorted(found.items()))


def read_preset(name: str) -> str:
    """The text of a preset by name, or of a caps file by path.

    Raises:
        WizardError: there is no such preset or file, or it is no TOML with a [caps] table.
    """
    known = presets()
    path = known.get(name, Path(name))
    try:
        text = text_of(path.read_bytes())
        symbols_of(text)
    except (OSError, UnicodeDecodeError):
        raise WizardError(
            f"there is no caps preset {name!r}; take one of {', '.join(known)}, or a file"
        ) from None
    return text


def read_sim(text: str) -> dict[str, Any]:
    """The JSON line of `seatrial sim`.

    Raises:
        WizardError: it is not such a line.
    """
    try:
        told = json.loads(text.strip().splitlines()[0])
        needed: dict[str, Any] = {
            key: str(told[key]) for key in (*SIM_URLS, "api_key", "api_secret")
        }
        listed = told.get("symbols")
        needed["symbols"] = tuple(map(str, listed)) if isinstance(listed, list) else ()
    except (ValueError, LookupError, TypeError):
        raise WizardError(
            "the sim's line has rest, ws_api, streams, api_key and api_secret: copy the one line "
            "that `seatrial sim` prints when it is ready"
        ) from None
    return needed


def check(choices: Choices) -> None:
    """See that the choices fit together.

    Raises:
        WizardError: the first that does not.
    """
    if choices.environment not in ENVIRONMENTS:
        raise WizardError(f"a venue is one of {', '.join(ENVIRONMENTS)}")
    if choices.strategy not in STRATEGIES:
        raise WizardError(f"a built-in strategy is one of {', '.join(STRATEGIES)}")
    if choices.key_source not in KEY_SOURCES:
        raise WizardError(f"keys come from one of {', '.join(KEY_SOURCES)}")
    capped = symbols_of(choices.caps_text)
    missing = [symbol for symbol in choices.symbols if symbol not in capped]
    if not choices.symbols or missing:
        raise WizardError(
            f"these caps know {', '.join(capped) or 'no symbol'}: every order on "
            f"{', '.join(missing) or 'nothing'} would be denied. Run this where the venue can be "
            "reached, so that caps are fitted to the symbol, or add [caps.symbols.…] to a file "
            "of your own and give it with --caps"
        )
    if (choices.environment == "sim") != (choices.sim is not None):
        raise WizardError(
            "venue sim, and only sim, needs --sim FILE with the line that `seatrial sim` prints"
        )


def config_text(choices: Choices) -> str:
    """The configuration as TOML."""
    directory = choices.directory
    lines = [
        "# Written by `seatrial init`; `seatrial doctor --config FILE` explains and checks it.",
        f"state_dir = {_quoted(directory / 'state')}",
        "",
        "[venue]",
        f"environment = {_quoted(choices.environment)}",
        f"symbols = {json.dumps([*choices.symbols, *choices.watched])}",
    ]
    if choices.sim is not None:
        lines += [f"{key} = {_quoted(choices.sim[key])}" for key in SIM_URLS]
    lines += _VENUE_CHOICES
    lines += ["", "[credentials]"]
    if choices.key_source == "file":
        lines.append(f"file = {_quoted(directory / CREDENTIALS_NAME)}")
    elif choices.key_source == "keyring":
        lines.append(f"keyring_service = {_quoted(keyring_service(choices))}")
    else:
        lines.append("# systemd: LoadCredential=api_key:… and api_secret:… in the unit")
    if choices.metrics_port != METRICS_PORT:
        lines += [
            "",
            "[metrics]",
            f"# {METRICS_PORT}, the usual one, was taken when this file was written.",
            f"port = {choices.metrics_port}",
        ]
    lines += [
        "",
        f"[strategies.{choices.strategy}]",
        f"class = {_quoted(choices.strategy)}",
        f"symbols = {json.dumps(list(choices.symbols))}",
        "",
        *_params(choices),
    ]
    return "\n".join(lines) + "\n" + choices.caps_text


def price_notes(choices: Choices) -> list[str]:
    """Prices that trading these symbols needs and no symbol provides, with the mend.

    Only names are known here; `seatrial doctor` asks the venue.
    """
    caps = tomllib.loads(choices.caps_text)["caps"]
    numeraire, paths = str(caps.get("numeraire", "")), dict(caps.get("conversions", {}))
    notes = []
    heard = (*choices.symbols, *choices.watched)
    for symbol in choices.symbols:
        if symbol.endswith(numeraire):
            continue
        quote = next((a for a in paths if symbol.endswith(a) and symbol != a), "")
        absent = [step for step in paths.get(quote, ()) if step not in heard]
        if not quote:
            notes.append(
                f"{symbol} is not quoted in {numeraire}: declare its quote's path to {numeraire} "
                "in [caps.conversions], or its orders will be denied"
            )
        elif absent:
            named = ", ".join(f'"{step}"' for step in absent)
            notes.append(f"{symbol} is quoted in {quote}: add {named} to venue.symbols")
    pair = f"BNB{numeraire}"
    if not any("BNB" in symbol for symbol in heard):
        path = "" if "BNB" in paths else f' and BNB = ["{pair}"] to [caps.conversions]'
        notes.append(
            f'if fees are paid in BNB, add "{pair}" to venue.symbols{path}: without its price '
            "new orders are denied after the first fill (doctor asks the venue)"
        )
    return notes


def keyring_service(choices: Choices) -> str:
    """The keyring's service name of a box: one a directory, so that two boxes do not share."""
    return f"seatrial-{choices.directory.name}"


def _params(choices: Choices) -> list[str]:
    """Distances inside the narrowest price collar: a strategy's own defaults may lie beyond."""
    caps = tomllib.loads(choices.caps_text)["caps"]["symbols"]
    collars = [caps[symbol].get("collar_bps_max", 0) for symbol in choices.symbols]
    inside_bps = max(1, min([int(collar) for collar in collars]) // 2)
    params = {
        "heartbeat": {"away_bps": min(50, inside_bps), "slip_bps": min(20, inside_bps)},
        "quoter": {"half_spread_bps": min(8, inside_bps), "requote_bps": min(4, inside_bps)},
    }.get(choices.strategy)
    if params is None:
        return []
    made = [f"{name} = {value}" for name, value in params.items()]
    return [f"[strategies.{choices.strategy}.params]", *made, ""]


def credentials_text(sim: Mapping[str, Any] | None) -> str:
    """The credentials file: the sim's throw-away key, or room for yours."""
    key, secret = (sim["api_key"], sim["api_secret"]) if sim is not None else ("", "")
    return (
        "# Keys of a TESTNET account, made for this box alone, without the right to withdraw.\n"
        "# Never a live key; never the same key as anywhere else. Mode 0600.\n"
        f"api_key = {_quoted(key)}\n"
        f"api_secret = {_quoted(secret)}\n"
    )


def write(choices: Choices) -> list[Path]:
    """Write the files; returns them, the configuration first.

    Raises:
        WizardError: one is there already, or cannot be written.
    """
    check(choices)
    wanted = {choices.directory / CONFIG_NAME: (config_text(choices), 0o640)}
    if choices.key_source == "file":
        wanted[choices.directory / CREDENTIALS_NAME] = (credentials_text(choices.sim), 0o600)
    for path in wanted:
        if path.exists():
            raise WizardError(f"{path} is there already: move it away, or take another --dir")
    try:
        choices.directory.mkdir(parents=True, exist_ok=True)
        for path, (text, mode) in wanted.items():
            file_fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(file_fd, "w", encoding="utf-8") as out:
                out.write(text)
    except OSError as error:
        raise WizardError(f"{error.filename}: {error.strerror}; check --dir") from error
    return list(wanted)


def _quoted(value: object) -> str:
    return json.dumps(str(value), ensure_ascii=False)
