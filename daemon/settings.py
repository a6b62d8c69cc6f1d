"""The configuration: a frozen value, read once, every violation reported at once.

TOML in, frozen pydantic models out; unknown keys are refused; units stand in the names. Secrets
never stand in the configuration (see `daemon.shell.credentials`). The hash of the canonical form
goes into `session_start` and binds evidence to it.
"""

import difflib
import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from riskcaps.capset import CapConfigError, CapSet, capset_from_mapping

ENVIRONMENTS = ("sim", "binance-spot-testnet")


class SettingsError(ValueError):
    """The configuration cannot be used. `violations` holds one line for each problem."""

    def __init__(self, path: Path | str, violations: list[str]) -> None:
        """Join all violations into one message."""
        self.violations = violations
        super().__init__(f"{path}: " + "\n".join(violations))


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


Seconds = Annotated[int, Field(ge=1, le=86_400)]
Milliseconds = Annotated[int, Field(ge=1, le=600_000)]


class VenueSettings(_Frozen):
    """`[venue]`: which venue, which symbols. URLs are for `sim` only; real hosts are built in."""

    environment: Literal["sim", "binance-spot-testnet"]
    symbols: Annotated[tuple[str, ...], Field(strict=False, min_length=1, max_length=200)]
    rest: str | None = None
    ws_api: str | None = None
    streams: str | None = None
    recv_window_ms: Milliseconds = 3_000
    reply_deadline_ms: Milliseconds = 5_000
    stream_silence_max_ms: Milliseconds = 30_000

    @field_validator("symbols")
    @classmethod
    def _symbols(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for symbol in value:
            if not (symbol.isascii() and symbol.isalnum() and symbol == symbol.upper()):
                raise ValueError(f"{symbol!r} is no symbol; write it like BTCUSDT")
        if len(set(value)) != len(value):
            raise ValueError("a symbol stands twice; name each once")
        return value

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


class CredentialSettings(_Frozen):
    """`[credentials]`: where the key is found, never the key itself."""

    file: Annotated[Path | None, Field(strict=False)] = None
    """A TOML file, mode 0600, with `api_key` and `api_secret` (or `ed25519_private_key_file`).
    Unset: systemd credentials ($CREDENTIALS_DIRECTORY)."""


class StrategySettings(_Frozen):
    """`[strategies.NAME]`: a built-in name or `package.module:Class`, its symbols, parameters."""

    class_path: Annotated[str, Field(alias="class")]
    symbols: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    params: dict[str, Any] = {}


class SessionSettings(_Frozen):
    """`[session]`: time bounds of the engine."""

    heartbeat_period_ms: Milliseconds = 1_000
    unknown_settle_ms: Milliseconds = 20_000
    unknown_incident_ms: Milliseconds = 60_000
    stale_feed_ms: Milliseconds = 10_000
    audit_period_ms: Milliseconds = 30_000
    stop_deadline_ms: Milliseconds = 10_000
    cancel_on_boot: bool = True
    flatten_allowed: bool = False
    """Whether an operator may have positions closed (through the caps, reduce-only)."""


class JournalSettings(_Frozen):
    """`[journal]`."""

    segment_bytes_max: Annotated[int, Field(ge=65_536, le=2**32)] = 128 * 1024 * 1024


class ControlSettings(_Frozen):
    """`[control]`: the Unix socket and who may do what.

    Each list holds user names, numeric uids, and `@group`. All empty: the service's own user, root
    and the group `seatrial` are operators.
    """

    socket: Annotated[Path | None, Field(strict=False)] = None
    """Unset: `control.sock` in the state directory. Where systemd passes the socket: the same path
    as its ListenStream=."""
    socket_group: str = ""
    """The group that may connect (mode 0660); empty: the daemon's own. Who may do what is said
    below, and asked of the kernel."""
    observers: Annotated[tuple[str | int, ...], Field(strict=False)] = ()
    stoppers: Annotated[tuple[str | int, ...], Field(strict=False)] = ()
    operators: Annotated[tuple[str | int, ...], Field(strict=False)] = ()


class MetricsSettings(_Frozen):
    """`[metrics]`: the Prometheus endpoint; `enabled = false` for none."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 9464


class Settings(_Frozen):
    """The whole configuration but the caps, which `riskcaps.capset` reads."""

    state_dir: Annotated[Path, Field(strict=False)]
    venue: VenueSettings
    credentials: CredentialSettings = CredentialSettings()
    strategies: dict[str, StrategySettings] = {}
    session: SessionSettings = SessionSettings()
    journal: JournalSettings = JournalSettings()
    control: ControlSettings = ControlSettings()
    metrics: MetricsSettings = MetricsSettings()
    gc_freeze: bool = True

    @property
    def socket_path(self) -> Path:
        """Where the control socket is."""
        return self.control.socket or self.state_dir / "control.sock"

    @model_validator(mode="after")
    def _strategy_symbols(self) -> "Settings":
        for name, strategy in self.strategies.items():
            unknown = [s for s in strategy.symbols if s not in self.venue.symbols]
            if unknown:
                raise ValueError(
                    f"strategies.{name}.symbols: {', '.join(unknown)} not in venue.symbols; "
                    "add them there or remove them here"
                )
        return self


@dataclass(frozen=True)
class Config:
    """A configuration that can be used: settings, caps, and the hash that binds evidence to it."""

    settings: Settings
    capset: CapSet
    config_hash: str


def load_config(path: Path) -> Config:
    """Read and check a configuration file.

    Raises:
        SettingsError: with every violation, each naming its key and the mend.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(path, ["no such file; make one with `seatrial init`"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(path, [f"cannot be read: {error}"]) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(path, [f"is not TOML: {error}"]) from error
    return config_from_mapping(data, path)


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
        settings = Settings.model_validate(rest)
    except ValidationError as error:
        violations += [_violation(item) for item in error.errors()]
    if caps is None:
        violations.append("caps: missing; without caps every order is denied; add a [caps] table")
    elif not isinstance(caps, Mapping):
        violations.append("caps: must be a table; write [caps]")
    else:
        try:
            capset = capset_from_mapping(caps)
        except CapConfigError as error:
            violations += [f"caps.{v.key}: {v.problem}; {v.mend}" for v in error.violations]
    if violations or settings is None or capset is None:
        raise SettingsError(path, violations)
    canonical = json.dumps(data, sort_keys=True, default=str, separators=(",", ":"))
    return Config(settings, capset, hashlib.sha256(canonical.encode()).hexdigest())


def _violation(item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"])
    kind, message = item["type"], item["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(str(item["loc"][-1]), _known_keys(item["loc"]), n=1)
        hint = f"did you mean {close[0]}?" if close else "remove it"
        return f"{key}: unknown key; {hint}"
    if kind == "missing":
        return f"{key}: missing; add it"
    if kind == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key}: {message}, got {item['input']!r}; correct the value"


def _known_keys(loc: tuple[str | int, ...]) -> list[str]:
    model: Any = Settings
    for part in loc[:-1]:
        field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
        if field is None:
            return list(StrategySettings.model_fields) if "strategies" in loc else []
        model = field.annotation
    return [*getattr(model, "model_fields", {})] + (["caps"] if model is Settings else [])
