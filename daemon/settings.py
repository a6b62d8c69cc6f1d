"""The configuration: a frozen value, read once, every violation reported at once.

TOML in, frozen pydantic models out; unknown keys are refused; units stand in the names. Secrets
never stand in the configuration (see `daemon.shell.keys.credentials`). The hash of the canonical
form goes into `session_start` and binds evidence to it.
"""

import difflib
import hashlib
import json
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field, ValidationError, field_validator, model_validator

from daemon.model.bots import BOT_PREFIX
from daemon.model.config_paths import base_of
from daemon.model.ids import is_symbol
from daemon.model.user_text import text_of
from daemon.settings_anchors import AnchorSettings, AnchorSinkSettings
from daemon.settings_base import Frozen, Milliseconds, Place
from daemon.settings_bots import BotSettings, GatewaySettings, is_bot_name
from daemon.settings_notify import NotifySettings
from riskcaps.words.capset import CapConfigError, CapSet, capset_from_mapping

ENVIRONMENTS = ("sim", "binance-spot-testnet")
VENUE_TIMEOUT_MS = 10_000
"""The venue's own bound on one request (binance-spot.md §2)."""
SETTLE_MARGIN_MS = 2_000


class SettingsError(ValueError):
    """The configuration cannot be used. `violations` holds one line for each problem."""

    def __init__(self, path: Path | str, violations: list[str]) -> None:
        """Join all violations into one message."""
        self.violations = violations
        super().__init__("\n".join(f"{path}: {line}" for line in violations))


class VenueSettings(Frozen):
    """`[venue]`: which venue, which symbols. URLs are for `sim` only; real hosts are built in."""

    environment: Literal["sim", "binance-spot-testnet", "binance-spot-live"]
    """`sim` or `binance-spot-testnet`. A live environment is refused with every key of `[gating]`
    that is missing, and then for want of a host: this build has none."""
    symbols: Annotated[tuple[str, ...], Field(strict=False, min_length=1, max_length=200)]
    """What is loaded, watched and reconciled; what may be traded stands in the caps."""
    rest: str | None = None
    """`sim` only: the address that `seatrial sim` prints."""
    ws_api: str | None = None
    """`sim` only, as `rest`."""
    streams: str | None = None
    """`sim` only, as `rest`."""
    recv_window_ms: Annotated[int, Field(ge=1, le=60_000)] = 3_000
    """How long after its timestamp the venue may still accept a request. Small on purpose."""
    reply_deadline_ms: Milliseconds = 5_000
    """A placement, cancel or amend without a trusted answer by then is UNKNOWN."""
    stream_silence_max_ms: Milliseconds = 30_000
    """Market data silent for so long: the connection is taken for dead and made anew."""
    order_road: Literal["ws", "rest"] = "ws"
    """Placements and cancels over the WebSocket API (`ws`) or over REST. User data always comes
    over the WebSocket API; cancels take REST by themselves when that connection is down."""
    depth_symbols: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Symbols whose top of book comes from a synced depth book (a snapshot of weight 50 each, and
    again after every gap); the others take bookTicker."""
    with_trades: bool = True
    """Subscribe public trades: strategies' `on_trade`, and collars with reference `last`."""
    ping_doubt_ms: Milliseconds = 1_000
    """A request unanswered for so long, and not a word since: ask whether the connection lives."""
    snapshot_lookups_max: Annotated[int, Field(ge=1, le=1_000)] = 100
    """Orders that one reconciliation may look up for trades whose order it does not know (weight 4
    each); more than that fails the round instead of using up the venue's budget."""

    @field_validator("symbols")
    @classmethod
    def _symbols(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for symbol in value:
            if not is_symbol(symbol):
                raise ValueError(f"{symbol!r} is no symbol; write it like BTCUSDT")
        if len(set(value)) != len(value):
            raise ValueError("a symbol stands twice; name each once")
        return value

    @model_validator(mode="after")
    def _bounds_fit(self) -> "VenueSettings":
        unknown = [s for s in self.depth_symbols if s not in self.symbols]
        if unknown:
            raise ValueError(
                f"depth_symbols: {', '.join(unknown)} not in symbols; "
                "add them there or remove them here"
            )
        if self.ping_doubt_ms >= self.reply_deadline_ms:
            raise ValueError(
                f"ping_doubt_ms ({self.ping_doubt_ms}) must be below reply_deadline_ms "
                f"({self.reply_deadline_ms}), or a dead connection is never doubted in time"
            )
        return self

    @model_validator(mode="after")
    def _urls(self) -> "VenueSettings":
        given = [u for u in (self.rest, self.ws_api, self.streams) if u is not None]
        if self.environment == "sim" and len(given) != 3:
            raise ValueError(
                "sim needs rest, ws_api and streams: copy them from the line `seatrial sim` prints"
            )
        if self.environment != "sim" and given:
            raise ValueError(
                f"{self.environment} has built-in hosts; remove rest, ws_api and streams"
            )
        return self


class CredentialSettings(Frozen):
    """`[credentials]`: where the key is found, never the key itself."""

    keyring_service: str = ""
    """Look in the keyring under this service for `api_key` and `api_secret` (or
    `ed25519_private_key`); needs `seatrial[keyring]`. Asked after systemd credentials, before the
    file."""
    file: Place | None = None
    """A TOML file, mode 0600, with `api_key` and `api_secret` (or `ed25519_private_key`, the PEM
    text). systemd credentials ($CREDENTIALS_DIRECTORY) and the keyring go first; without any of
    them the environment is looked at, with a warning."""
    live_files: Annotated[tuple[Place, ...], Field(strict=False, max_length=16)] = ()
    """Files that hold live keys: the daemon does not start with a key that stands in one of
    them."""


class GatingSettings(Frozen):
    """`[gating]`: the keys of a live host. Irrelevant on sim and testnet; live stays blocked."""

    enabled: bool = False
    """The first key."""
    armed: bool = False
    """The second key; only with the first."""
    promotion_record: Place | None = None
    """The third: the signed record that `seatrial promote --key` wrote."""
    promotion_key: Place | None = None
    """The public key that signed it."""
    promotion_policy_key: Place | None = None
    """The public key that signed the record's policy; unset: `promotion_key`. The fourth key is
    caps within the preset `live-pilot`, the fifth a confirm token at each start."""


class StrategySettings(Frozen):
    """`[strategies.NAME]`: a built-in name or `package.module:Class`, its symbols, parameters."""

    class_path: Annotated[str, Field(alias="class")]
    """`quiet`, `heartbeat`, `quoter`, `ma_crossover`, `prober`, `anchor`, or
    `package.module:Class`."""
    symbols: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    """The symbols it sees and may wish orders on."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Its constructor's arguments; amounts as text."""


class TrialSettings(Frozen):
    """`[trials]`: courses that the bot must have passed before a session; see `seatrial trial`."""

    required: Annotated[tuple[str, ...], Field(strict=False, max_length=16)] = ()
    """Courses: `standard`, or the TOML files of others. Empty: `preflight` asks for none."""
    reports: Place | None = None
    """Holds the reports' directories, as `seatrial trial --out-dir` made them."""
    command: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """The bot's command, word by word as it was given after `--`. With `files` it makes the version
    that a report must be of."""
    files: Annotated[tuple[Place, ...], Field(strict=False)] = ()
    """What was given with `--file`."""
    seed: Annotated[int, Field(ge=0)] = 7
    """What was given with `--seed`: a report of another seed does not count."""
    age_hours_max: Annotated[int, Field(ge=1, le=24 * 366)] = 168
    """How old a report may be, in hours."""


class SessionSettings(Frozen):
    """`[session]`: time bounds of the engine."""

    heartbeat_period_ms: Milliseconds = 1_000
    """How often a heartbeat line is journalled: uptime is counted by them."""
    unknown_settle_ms: Milliseconds = 20_000
    """How long after an unanswered order "does not exist" proves that it never arrived. On a real
    venue at least 10 s (its own timeout) + recv_window_ms + 2 s."""
    unknown_incident_ms: Milliseconds = 60_000
    """An order that is UNKNOWN for longer opens an incident."""
    stale_feed_ms: Milliseconds = 10_000
    """Market data older than this, with orders open, opens an incident."""
    audit_period_ms: Milliseconds = 30_000
    """How often open orders, balances and trades are compared with the venue."""
    stop_deadline_ms: Milliseconds = 10_000
    """How long an orderly stop may take before it opens an incident."""
    cancel_on_boot: bool = True
    """Cancel what an earlier run left open before anything else."""
    flatten_allowed: bool = False
    """Whether an operator may have positions closed (through the caps, reduce-only)."""


class JournalSettings(Frozen):
    """`[journal]`."""

    segment_bytes_max: Annotated[int, Field(ge=65_536, le=2**32)] = 128 * 1024 * 1024
    """A segment of the journal is closed and the next begun at this size."""
    keep_ticks: Literal["auto", "all"] = "auto"
    """`auto`: ticks without a consequence are left out, unless a strategy keeps state between ticks
    (its class does not declare `needs_every_tick = False`). `all`: every tick is a line, so that
    the run can be re-stepped."""
    ticks_ring_bytes_max: Annotated[int, Field(ge=0, le=2**32)] = 64 * 1024 * 1024
    """What was left out goes to `ticks-ring.jsonl` in the state directory, the newest of it and at
    most so many bytes; for debugging only, no evidence. 0: nowhere."""
    compress: bool = True
    """Closed segments are packed with zstandard, by a thread of low priority."""


class ControlSettings(Frozen):
    """`[control]`: the Unix socket and who may do what.

    Each list holds user names, numeric uids, and `@group`. All empty: the service's own user, root
    and the group `seatrial` are operators.
    """

    socket: Place | None = None
    """Unset: `control.sock` in the state directory. Where systemd passes the socket: the same path
    as its ListenStream=."""
    socket_group: str = ""
    """The group that may connect (mode 0660); empty: the daemon's own. Who may do what is said
    below, and asked of the kernel."""
    observers: Annotated[tuple[str | int, ...], Field(strict=False)] = ()
    """Who may look."""
    stoppers: Annotated[tuple[str | int, ...], Field(strict=False)] = ()
    """Who may also stop, kill and cancel."""
    operators: Annotated[tuple[str | int, ...], Field(strict=False)] = ()
    """Who may also start and re-arm."""


class MetricsSettings(Frozen):
    """`[metrics]`: the Prometheus endpoint and the operator's page; `enabled = false` for none."""

    enabled: bool = True
    """Whether there is one at all."""
    host: str = "127.0.0.1"
    """Address to listen on; it has no password, so keep it on loopback. Only there is the
    operator's page, at the port's root."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 9464
    """0: any free port."""


class ProcessSettings(Frozen):
    """`[process]`: what the process takes of its machine."""

    spin_us: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """So long after its last work the main loop looks for more before it sleeps, while a session is
    on; 0: it sleeps at once. Longer than the time between two ticks it makes a strategy's order
    about twice as quick, and costs a whole core: for machines that have one to spare."""


class Settings(Frozen):
    """The whole configuration but the caps, which `riskcaps.words.capset` reads."""

    state_dir: Place
    """Journal, latch and control socket; one daemon each. Relative paths, here and elsewhere, begin
    at the folder of this file; `~` is refused."""
    venue: VenueSettings
    credentials: CredentialSettings = CredentialSettings()
    gating: GatingSettings = GatingSettings()
    strategies: dict[str, StrategySettings] = Field(default_factory=dict)
    trials: TrialSettings = TrialSettings()
    session: SessionSettings = SessionSettings()
    journal: JournalSettings = JournalSettings()
    control: ControlSettings = ControlSettings()
    metrics: MetricsSettings = MetricsSettings()
    anchors: AnchorSettings = AnchorSettings()
    notify: NotifySettings = NotifySettings()
    gateway: GatewaySettings = GatewaySettings()
    process: ProcessSettings = ProcessSettings()
    bots: dict[str, BotSettings] = Field(default_factory=dict)
    gc_freeze: bool = True
    """Take what boot has made out of the garbage collector's sight: shorter pauses."""

    @property
    def socket_path(self) -> Path:
        """Where the control socket is."""
        return self.control.socket or self.state_dir / "control.sock"

    @property
    def is_passable(self) -> bool:
        """Whether a group must reach a control socket that lies inside the state directory."""
        group = self.control.socket_group
        return bool(group) and self.socket_path.is_relative_to(self.state_dir)

    @model_validator(mode="after")
    def _strategy_symbols(self) -> "Settings":
        for name, strategy in self.strategies.items():
            if name.startswith(BOT_PREFIX):
                raise ValueError(f"strategies.{name}: names with {BOT_PREFIX!r} are those of bots")
            unknown = [s for s in strategy.symbols if s not in self.venue.symbols]
            if unknown:
                raise ValueError(
                    f"strategies.{name}.symbols: {', '.join(unknown)} not in venue.symbols; "
                    "add them there or remove them here"
                )
        return self

    @model_validator(mode="after")
    def _bots_fit(self) -> "Settings":
        if self.bots and not self.gateway.listen:
            raise ValueError(
                "bots: there are some, but gateway.listen is empty, so that none could come in; "
                'set [gateway] listen = "127.0.0.1:8790"'
            )
        for name, bot in self.bots.items():
            if not is_bot_name(name):
                raise ValueError(f"bots.{name}: a name is 1 to 16 of a-z, 0-9, - and _; rename it")
            if name in self.strategies:
                raise ValueError(f"bots.{name}: a strategy has this name, too; rename one of them")
            unknown = [s for s in bot.symbols if s not in self.venue.symbols]
            if unknown:
                raise ValueError(
                    f"bots.{name}.symbols: {', '.join(unknown)} not in venue.symbols; "
                    "add them there or remove them here"
                )
        return self

    @model_validator(mode="after")
    def _absence_is_provable(self) -> "Settings":
        least_ms = VENUE_TIMEOUT_MS + self.venue.recv_window_ms + SETTLE_MARGIN_MS
        if self.venue.environment != "sim" and self.session.unknown_settle_ms < least_ms:
            raise ValueError(
                f"session.unknown_settle_ms: {self.session.unknown_settle_ms} is too short to "
                f"prove that an order never arrived; with this recv_window_ms at least {least_ms}"
            )
        return self


class Config(msgspec.Struct, frozen=True):
    """A configuration that can be used: settings, caps, and the hash that binds evidence to it."""

    settings: Settings
    capset: CapSet
    config_hash: str
    base: Path = Path()
    """Where relative names in it begin."""


def load_config(path: Path) -> Config:
    """Read and check a configuration file.

    Raises:
        SettingsError: with every violation, each naming its key and the mend.
    """
    try:
        data = tomllib.loads(text_of(path.read_bytes()))
    except FileNotFoundError:
        raise SettingsError(path, ["no such file; make one with `seatrial init`"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(path, [f"cannot be read: {error}"]) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(path, [f"is not TOML: {error}; correct that line"]) from error
    if path.stat().st_mode & stat.S_IRWXO and _holds_tokens(data):
        mend = f"chmod 640 {path}, or name a notify.urls_file"
        raise SettingsError(
            path, [f"notify.urls: they hold tokens, and everybody may read this file; {mend}"]
        )
    return config_from_mapping(data, path)


def _holds_tokens(data: Mapping[str, Any]) -> bool:
    """Whether there is a url in it that leaves this machine."""
    notify = data.get("notify")
    urls = notify.get("urls") if isinstance(notify, Mapping) else None
    here = ("127.0.0.1", "localhost", "[::1]")
    return isinstance(urls, list) and not all(
        str(url).partition("://")[2].rpartition("@")[2].startswith(here) for url in urls
    )


def config_from_mapping(data: Mapping[str, Any], path: Path | str = "config") -> Config:
    """Check a configuration that is already a mapping.

    Raises:
        SettingsError: with every violation.
    """
    violations: list[str] = []
    rest = dict(data)
    caps = rest.pop("caps", None)
    settings: Settings | None = None
    capset: CapSet | None = None
    try:
        settings = Settings.model_validate(rest, context={"base": base_of(Path(path))})
    except ValidationError as error:
        meant = {(*item["loc"][:-1], _meant(item)) for item in error.errors()}
        violations += [
            _violation(item)
            for item in error.errors()
            if not (item["type"] == "missing" and item["loc"] in meant)  # its typo is told already
        ]
    if caps is None:
        violations.append("caps: missing; without caps every order is denied; add a [caps] table")
    elif not isinstance(caps, Mapping):
        violations.append("caps: must be a table; write [caps]")
    else:
        try:
            capset = capset_from_mapping({**caps, **_caps_of_bots(settings)})
        except CapConfigError as error:
            violations += [f"{_cap_key(v.key)}: {v.problem}; {v.mend}" for v in error.violations]
    if settings is not None and capset is not None and not settings.venue.with_trades:
        violations += [
            f'venue.with_trades: false, but caps.symbols.{symbol}.collar_reference = "last" needs '
            'public trades; set it true, or the reference to "mid"'
            for symbol, symbol_caps in capset.symbols.items()
            if symbol_caps.collar_reference == "last"
        ]
    if settings is not None and capset is not None:
        traders = {f"strategies.{name}": one.symbols for name, one in settings.strategies.items()}
        traders |= {f"bots.{name}": one.symbols for name, one in settings.bots.items()}
        violations += [
            f"{name}.symbols: {symbol} has no caps, so each of its orders would be "
            f"denied; add [caps.symbols.{symbol}] or remove it here"
            for name, symbols in traders.items()
            for symbol in symbols
            if capset.for_instrument(f"{symbol}@{settings.venue.environment}") is None
        ]
    if violations or settings is None or capset is None:
        raise SettingsError(path, violations)
    canonical = json.dumps(data, sort_keys=True, default=str, separators=(",", ":"))
    config_hash = hashlib.sha256(canonical.encode()).hexdigest()
    return Config(settings, capset, config_hash, base_of(Path(path)))


def _caps_of_bots(settings: Settings | None) -> dict[str, Any]:
    tables = {} if settings is None else {n: one.caps for n, one in settings.bots.items()}
    given = {name: table for name, table in tables.items() if table}
    return {"bots": given} if given else {}


def _cap_key(key: str) -> str:
    """Where a cap stands in the file: the account's under `caps`, a bot's under its own table."""
    if not key.startswith("bots."):
        return f"caps.{key}"
    _, bot, rest = key.split(".", 2)
    return f"bots.{bot}.caps.{rest}"


def _meant(item: Any) -> str:
    """The key that an unknown one is likely to stand for; empty: none, or it is no unknown key."""
    if item["type"] != "extra_forbidden":
        return ""
    close = difflib.get_close_matches(str(item["loc"][-1]), _known_keys(item["loc"]), n=1)
    return close[0] if close else ""


def _violation(item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"])
    kind, message = item["type"], item["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        meant = _meant(item)
        return f"{key}: unknown key; " + (f"did you mean {meant}?" if meant else "remove it")
    if kind == "missing":
        return f"{key}: missing; add it"
    if kind == "value_error":
        return f"{key}: {message}" if key else message
    if "urls" in item["loc"]:  # they hold tokens
        return f"{key}: {message}; correct the value"
    return f"{key}: {message}, got {item['input']!r}; correct the value"


def _known_keys(loc: tuple[str | int, ...]) -> list[str]:
    model: Any = Settings
    for part in loc[:-1]:
        field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
        if field is None:
            named: dict[str | int, Any] = {
                "strategies": StrategySettings, "bots": BotSettings, "anchors": AnchorSinkSettings,
            }  # fmt: skip
            return list(named[loc[0]].model_fields) if loc[0] in named else []
        model = field.annotation
    return [*getattr(model, "model_fields", {})] + (["caps"] if model is Settings else [])
