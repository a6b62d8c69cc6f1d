"""What `seatrial sim` can be told, and how an exchange is built from it."""

import csv
import gzip
import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from daemon.errors import HostRefused, SeatrialError
from daemon.venues.binance_spot.serving.registered_keys import (
    ApiKey,
    PublicKeyFileError,
    ed25519_key,
)
from daemon.venues.binance_spot.serving.units import E8, UnitError, e8_of
from daemon.venues.hosts import SIM
from daemon.venues.sim.exchange import Exchange
from daemon.venues.sim.fault_presets import PRESETS
from daemon.venues.sim.fault_rules import FaultPlan
from daemon.venues.sim.flow import RecordedTrade
from daemon.venues.sim.ledger_rows import PackedRows
from daemon.venues.sim.listed_symbols import (
    DEFAULT_SYMBOLS,
    SYMBOLS,
    ExchangeFilters,
    SymbolSpec,
    UnknownSymbolError,
    spec_from,
    spec_of,
)
from daemon.venues.sim.recording import Recording, RecordingError, parse_recording
from daemon.venues.sim.request_limits import LimitConfig, Limiter
from daemon.venues.sim.saved import SavedVenue, SavedVenueError, at_last_price, restore
from daemon.venues.sim.sim_orders import RandomSource
from daemon.venues.sim.venue import SimVenue

if TYPE_CHECKING:
    from daemon.shell.link.link_config import VenueEndpoints

ACCOUNT = "main"
_NO_EXCHANGE_FILTERS = ExchangeFilters(orders=0, algo_orders=0, iceberg_orders=0, order_lists=0)
_GRANT_QUOTE = 200_000
"""What the own account gets of every asset, in the venue's idea of USDT."""


class OptionError(ValueError):
    """An option that cannot be used; the text names it and the mend."""


class SimOptions(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the simulated venue."""

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    symbols: tuple[str, ...] = DEFAULT_SYMBOLS
    ledger: Path | None = None
    state: Path | None = None
    tls: bool = False
    replay: Path | None = None
    replay_symbol: str = ""
    speed: float = 1.0
    follow: str = ""
    """The environment whose public market is followed; empty: none."""
    follow_rest: str = ""
    follow_streams: str = ""
    """Where it is; only of the environment `sim`, whose addresses no table holds."""
    ed25519_public_key: Path | None = None
    faults: str = "none"
    fault_seed: int | None = None
    flow_rate_per_s: float = 30.0
    balances: dict[str, int] = msgspec.field(default_factory=dict)
    """Units of 1e-8; empty: the default grants."""
    maker_ppm: int = 1000
    taker_ppm: int = 1000
    limits: LimitConfig = msgspec.field(default_factory=LimitConfig)
    ping_every_s: float = 20.0
    pong_within_s: float = 60.0
    connection_life_s: float = 86_400.0
    stream_messages_per_s_max: int = 5
    exchange_filters: bool = True
    """Whether limits on the open orders of all symbols together hold and are listed."""
    wire: bool = False
    """Whether the ledger keeps a row of every request."""


class Built(msgspec.Struct, frozen=True):
    """An exchange with its keys."""

    exchange: Exchange
    api_key: str
    api_secret: str
    ed25519_api_key: str
    replay: Mapping[str, object]
    """What is played, and the unit that its times were taken in; empty without a recording."""


def seeded(seed: int, name: str) -> RandomSource:
    """One named stream of randomness; the same name and seed always give the same one."""
    return random.Random(f"{seed}/{name}")  # noqa: S311 - a market, not a secret


def followed_venue(options: SimOptions) -> "VenueEndpoints | None":
    """Where the market that is followed comes from, checked against the table of hosts.

    Raises:
        OptionError: an address is not of the environment, or does not go with the options.
    """
    if not options.follow:
        if options.follow_rest or options.follow_streams:
            raise OptionError("--follow-rest and --follow-streams need --follow sim")
        return None
    if options.replay is not None:
        raise OptionError("--follow and --replay each make the market; leave one of them out")
    # Imported here, as below: most venues follow nobody, and each start would wait for it.
    from daemon.shell.link.link_config import VenueEndpoints  # noqa: PLC0415 - see above
    from daemon.shell.link.venue_urls import BINANCE_SPOT_TESTNET  # noqa: PLC0415 - see above

    urls = dict(BINANCE_SPOT_TESTNET)
    if options.follow == SIM:
        if not (options.follow_rest and options.follow_streams):
            raise OptionError(
                "--follow sim needs --follow-rest and --follow-streams: `rest` and `streams` of "
                "that venue's ready line"
            )
        # The road of orders is never opened; it has to be an address of the same kind all the same.
        streams = options.follow_streams
        urls = {"rest": options.follow_rest, "ws_api": streams, "streams": streams}
    elif options.follow_rest or options.follow_streams:
        raise OptionError(f"--follow {options.follow}: its addresses are built in; name none")
    try:
        return VenueEndpoints(environment=options.follow, **urls)
    except HostRefused as error:
        raise OptionError(f"--follow {options.follow}: {error}") from error


def followed_specs(endpoints: "VenueEndpoints", symbols: Sequence[str]) -> list[SymbolSpec]:
    """The symbols with the filters and prices of the venue that is followed.

    Raises:
        OptionError: it cannot be reached, or does not list one of them.
    """
    from daemon.shell.link.symbol_facts import listed_at  # noqa: PLC0415 - see above

    try:
        found = listed_at(endpoints, symbols)
        absent = ", ".join(symbol for symbol in symbols if symbol not in found)
        if absent:
            raise OptionError(f"--symbols: {endpoints.environment} does not list {absent}")
        return [spec_from(*found[symbol]) for symbol in symbols]
    except (SeatrialError, ValueError) as error:
        if isinstance(error, OptionError):
            raise
        raise OptionError(f"--follow {endpoints.environment}: {error}") from error


def build(
    options: SimOptions,
    now_ns: int,
    saved: tuple[SavedVenue, bytes] | None = None,
    followed: Sequence[SymbolSpec] = (),
) -> Built:
    """The exchange that the options describe; `saved` is what an earlier run of it has left.

    With `followed` these are its symbols, and their market is another venue's.

    Raises:
        OptionError: for an option that cannot be used.
    """
    if saved is not None and saved[0].seed != options.seed:
        raise OptionError(
            f"--state: that venue has seed {saved[0].seed}; say --seed {saved[0].seed}, "
            "or move the directory away to begin anew"
        )
    specs, recordings, replay = (list(followed), {}, {}) if followed else _markets(options)
    fault_seed = options.seed if options.fault_seed is None else options.fault_seed
    faults = FaultPlan(lambda name: seeded(fault_seed, name))
    preset = PRESETS.get(options.faults)
    if preset is None:
        raise OptionError(f"--faults {options.faults!r}: known presets are {', '.join(PRESETS)}")
    faults.load(preset[1], now_ns)
    if saved is not None and not followed:
        specs = [at_last_price(spec, saved[0]) for spec in specs]
    venue = SimVenue(
        specs,
        rng_of=lambda name: seeded(options.seed, name),
        now_ns=now_ns,
        flow_rate_per_s=options.flow_rate_per_s,
        recordings=recordings,
        has_past=not followed,
        exchange_filters=None if options.exchange_filters else _NO_EXCHANGE_FILTERS,
        last_ids={} if saved is None else {s: m.ids for s, m in saved[0].markets.items()},
        is_following=bool(followed),
    )
    account = venue.add_account(ACCOUNT, options.balances or default_grants(specs))
    account.maker_ppm, account.taker_ppm = options.maker_ppm, options.taker_ppm
    exchange = Exchange(venue, Limiter(options.limits), faults)
    if options.wire:
        exchange.ledger.wire = PackedRows()
    api_key, api_secret = _token(options.seed, "key"), _token(options.seed, "secret")
    exchange.keys[api_key] = ApiKey(api_key=api_key, account=ACCOUNT, secret=api_secret)
    ed25519_api_key = ""
    if options.ed25519_public_key is not None:
        ed25519_api_key = _token(options.seed, "ed25519")
        exchange.keys[ed25519_api_key] = _public_key(options.ed25519_public_key, ed25519_api_key)
    if saved is not None:
        try:
            restore(exchange, *saved, seeded(options.seed, f"ids {now_ns}"), now_ns)
        except (SavedVenueError, ValueError) as error:
            raise OptionError(f"--state {options.state}: {error}") from error
    return Built(exchange, api_key, api_secret, ed25519_api_key, replay)


def default_grants(specs: Sequence[SymbolSpec]) -> dict[str, int]:
    """Enough of every asset of the symbols to trade for days."""
    in_usdt = {"USDT": E8, "BTC": 60_000 * E8, "ETH": 3_000 * E8}
    for spec in (*SYMBOLS.values(), *specs):
        if spec.quote == "USDT":
            in_usdt.setdefault(spec.base, spec.start_price)
    # An asset without a price in USDT (of a followed venue) gets as many units as USDT.
    return {
        asset: _GRANT_QUOTE * E8 * E8 // in_usdt.get(asset, E8)
        for spec in specs
        for asset in (spec.base, spec.quote)
    }


def balances_of(text: str) -> dict[str, int]:
    """`USDT=1000,BTC=0.5` as units of 1e-8.

    Raises:
        OptionError: naming the pair that is wrong.
    """
    balances: dict[str, int] = {}
    for pair in filter(None, text.split(",")):
        asset, _, amount = pair.partition("=")
        try:
            balances[asset.strip().upper()] = e8_of(amount.strip())
        except UnitError as error:
            raise OptionError(f"--balances {pair!r}: {error}; write ASSET=AMOUNT") from error
    return balances


def _markets(
    options: SimOptions,
) -> tuple[
    list[SymbolSpec], dict[str, tuple[Sequence[RecordedTrade], float]], Mapping[str, object]
]:
    symbols = list(options.symbols)
    recordings: dict[str, tuple[Sequence[RecordedTrade], float]] = {}
    replay: dict[str, object] = {}
    try:
        if options.replay is not None:
            replayed = options.replay_symbol or options.replay.name.partition("-")[0].upper()
            spec = spec_of(replayed)
            if options.speed <= 0:
                raise OptionError(f"--speed {options.speed}: must be above zero")
            recording = read_recording(options.replay, spec.symbol)
            recordings[replayed] = (recording.trades, options.speed)
            replay = {
                "trades": len(recording.trades),
                "time_unit": recording.unit,
                "recorded_s": recording.span_s,
                "plays_s": round(recording.span_s / options.speed, 3),
            }
            conversion = f"{spec.quote}USDT"
            for extra in (replayed, conversion):
                if extra not in symbols and extra in SYMBOLS:
                    symbols.append(extra)
        return [spec_of(symbol) for symbol in symbols], recordings, replay
    except UnknownSymbolError as error:
        raise OptionError(str(error)) from error


def read_recording(path: Path, symbol: str) -> Recording:
    """Trades of a csv or csv.gz file.

    Raises:
        OptionError: the file cannot be read, or a row is wrong (file and line are named).
    """
    try:
        with _rows_of(path) as rows:
            return parse_recording(rows, name=str(path), spec=spec_of(symbol))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise OptionError(f"--replay {path}: {error}") from error
    except RecordingError as error:
        raise OptionError(f"--replay {error}") from error


@contextmanager
def _rows_of(path: Path) -> Iterator[Iterator[list[str]]]:
    """The csv rows of a plain or gzipped file."""
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8", newline="") as packed:
            yield csv.reader(packed)
    else:
        with path.open(encoding="utf-8", newline="") as text:
            yield csv.reader(text)


def _public_key(path: Path, api_key: str) -> ApiKey:
    try:
        return ed25519_key(path.read_bytes(), api_key=api_key, account=ACCOUNT)
    except OSError as error:
        raise OptionError(f"--ed25519-public-key {path}: {error.strerror}") from error
    except PublicKeyFileError as error:
        raise OptionError(f"--ed25519-public-key {path}: {error}") from error


def _token(seed: int, name: str) -> str:
    """64 letters; a throw-away key of a simulated venue may follow from its seed."""
    return hashlib.sha256(f"seatrial sim {seed} {name}".encode()).hexdigest()
