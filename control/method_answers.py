"""What each method of the control protocol answers: the fields of its `result`.

Every answer to a command also has `command_id`. A field that may be None is null where nothing is
known. Nothing at run time reads these types but `schema`; a test plays every method on a real
daemon and holds its answers to them.
"""

from typing import Any, NotRequired, TypedDict, get_args, get_origin, get_type_hints

Objects = list[dict[str, Any]]


class Pong(TypedDict):
    """`ping`."""

    version: int
    """The protocol's version."""


class SchemaAnswer(TypedDict):
    """`schema`: this page for programs."""

    protocol: str
    version: int
    line_bytes_max: int
    roles: list[str]
    """From the least to the most."""
    methods: dict[str, Any]
    errors: dict[str, int]
    notifications: dict[str, str]


class OrdersAnswer(TypedDict):
    """`orders`."""

    orders: Objects
    """Those that are open at the venue, or may be."""


class PositionsAnswer(TypedDict):
    """`positions`."""

    positions: dict[str, Any]
    """By instrument: `qty`, `avg_px`, `realised_pnl`, `fees_quote`, as decimal text."""


class CapsAnswer(TypedDict):
    """`caps`."""

    caps: Objects
    """Each with `cap`, `symbol`, `used`, `limit`, `unit`; amounts as decimal text."""
    numeraire: str
    tightened: Objects
    """By `caps set`, and in force: `cap`, `value`, `config` (the file's value)."""
    bots: NotRequired[dict[str, Any]]
    """By bot, its own caps. Absent where no bot is configured."""


class IncidentAnswer(TypedDict):
    """`incident`."""

    incident_id: str
    trigger: str
    msg: str
    symbol: str
    opened_ns: int
    context: dict[str, Any]
    resolved_by: str
    """Empty while it is open."""
    notes: Objects


class IncidentsAnswer(TypedDict):
    """`incidents`."""

    incidents: Objects
    """Each as `incident` answers it, the newest last."""


class EventsAnswer(TypedDict):
    """`events`. With `follow` the lines come as notifications `event`, the older ones too."""

    events: NotRequired[Objects]
    """The journal lines, without `follow`."""
    following: NotRequired[bool]
    incomplete: NotRequired[bool]


class KillAnswer(TypedDict):
    """`kill`. Times count from when the request was read."""

    verified: bool
    """The venue was asked, and has no open order of ours."""
    latched: bool
    """A restart knows of it."""
    open_orders: int | None
    """The last count of ours."""
    others_open: int | None
    """Orders of other clients, left alone."""
    gate_ms: float
    gate_closed_monotonic_ns: int
    latched_ms: float | None
    cancel_ms: float | None
    """The last cancel at the venue; null: there was nothing to cancel."""
    empty_ms: float | None
    """Null when it is not verified."""
    settled_ms: float | None
    """Every order that was under way is answered, or too old to be accepted."""
    canceled: int
    unasked: str
    """What could not be asked of the venue."""
    late_orders: int
    """Orders that came to the venue after the gate was closed, and were canceled."""
    rounds: int
    """How often the venue was asked."""
    msg: str
    """What went wrong."""


class CancelAllAnswer(TypedDict):
    """`cancel-all`."""

    orders: int
    """So many cancels were asked for."""
    note: NotRequired[str]
    """Why they do not leave now."""


class EndAnswer(TypedDict):
    """`stop` and `flatten`."""

    session_id: str
    kind: str
    verified_empty: bool
    orders_left: list[str]
    duration_ms: int
    flat: NotRequired[bool]
    """Of `flatten`, like the two that follow."""
    left: NotRequired[Objects]
    text: NotRequired[str]


class BotSwitchAnswer(TypedDict):
    """`bot-kill`, `bot-suspend`, `bot-revoke`, `bot-resume`."""

    bot: str
    state: str


class TokenAnswer(TypedDict):
    """`confirm-token`."""

    needed: bool
    """False on sim and testnet; then there is no token."""
    note: NotRequired[str]
    token: NotRequired[str]
    expires_s: NotRequired[int]


class StartAnswer(TypedDict):
    """`start`."""

    session_id: str
    gating: NotRequired[str]
    """What is said of the confirm token where none is needed."""


class ReArmAnswer(TypedDict):
    """`re-arm`."""

    latched: bool


class ReconcileAnswer(TypedDict):
    """`reconcile`."""

    clean: bool
    why: str
    """Why it is not."""
    waiting: bool
    """A difference waits for a second look."""
    differences: Objects


class ReEnableAnswer(TypedDict):
    """`re-enable`."""

    re_enabled: bool


class DrillAnswer(TypedDict):
    """`drill`."""

    passed: bool
    """All of them."""
    drills: Objects
    """Each with `drill`, `passed`, `detail`, `duration_ms`, `ts_ns`."""


class CapsTightenAnswer(TypedDict):
    """`caps-tighten`."""

    caps_hash: str
    """Of the set that holds from now on."""


class IncidentNoteAnswer(TypedDict):
    """`incident-note`."""

    incident_id: str


class IncidentResolveAnswer(TypedDict):
    """`incident-resolve`."""

    incident_id: str
    resolved: bool


class ExplainAnswer(TypedDict):
    """`explain`."""

    about_seq: int


class ShutdownAnswer(TypedDict):
    """`shutdown`: it has begun; the process ends when it is done."""

    ending: bool


class StatusAnswer(TypedDict):
    """`status`: what the main loop last published; before the first time `control` alone."""

    environment: str
    mode: str
    """`sim`, `testnet` or `live`."""
    instance: str
    """The box; its order ids begin with it."""
    version: str
    run_id: str
    session_id: str
    """Empty: no session is on."""
    session_age_ms: int | None
    session_orders: int
    session_fills: int
    uptime_ms: int
    uptime_s: float
    ts_ns: int
    """Engine time of the snapshot."""
    published_monotonic_ns: int
    trading_state: str
    """`ACTIVE`, `REDUCING` or `HALTED`."""
    gate_state: str
    not_ready: Objects
    """What keeps READY or a start away: `reason`, `text`, `detail`."""
    halt_closed: bool
    """No placement leaves."""
    halt_reason: str
    latched: bool
    latch: dict[str, Any] | None
    latch_reason: str
    ending: str
    """`stop`, `shutdown` or `flatten` while one is under way."""
    symbols_blocked: dict[str, str]
    prices_missing: dict[str, str]
    venue_pause: dict[str, Any] | None
    """A rate limit or ban: `text`, `left_ms`."""
    links: dict[str, bool]
    orders: dict[str, int]
    """By status, those that are not ended."""
    open_orders: Objects
    positions: dict[str, Any]
    caps: Objects
    caps_tightened: Objects
    """By `caps set`, until [caps] is edited: `cap`, `value`, `config` (the file's value)."""
    caps_ended: dict[str, Any]
    """What `caps set` had tightened before [caps] was edited, and what holds no more."""
    denied: dict[str, int]
    """This run's denials by reason."""
    equity: dict[str, Any]
    market: dict[str, Any]
    """By symbol: `bid`, `ask`, `age_ms`."""
    incidents: Objects
    incidents_open: int
    reconcile: dict[str, Any]
    others: dict[str, int]
    """Of other clients of the account."""
    bots: dict[str, Any]
    bots_seen: NotRequired[dict[str, Any]]
    gateway: NotRequired[dict[str, Any]]
    storms: dict[str, int]
    ages_ms: dict[str, Any]
    clock_problem: str
    clock_offset_s: float
    """The venue's clock minus ours."""
    venue: dict[str, Any]
    """Rate limits and round trips."""
    health: dict[str, Any]
    warnings: list[str]
    key_source: str
    metrics_port: int
    dead_mans_switch: str
    drills: dict[str, Any]
    gating: dict[str, Any]
    binding: dict[str, Any]
    notify: NotRequired[Objects]
    """By channel: `service`, `waiting`, `sent`, `failed`, `problem`."""
    anchors: NotRequired[dict[str, Any]]
    journal_ok: bool
    journal_path: str
    journal_seq: int
    journal_pending_lines: int
    """Not with the kernel yet."""
    journal_undurable_lines: int
    """Not on the disk yet."""
    journal_fault: str
    journal_pack_fault: str
    journal_bytes: int
    journal_bytes_per_day: NotRequired[int]
    journal_days_left: NotRequired[float]
    ticks: str
    """`all` or `thinned`."""
    ticks_kept_for: list[str]
    ticks_thinned: int
    disk_free_bytes: int
    disk_size_bytes: int
    log_lines_dropped: int
    queue_age_s: float
    loop_lag_s: float
    loop_lag_max_s: float
    turn_max_s: float
    turns: int
    conflated: int
    """Ticks that a newer one has replaced before their turn."""
    control: dict[str, Any]
    """`protocol_version`, `kill_in_progress`, `last_kill`, `snapshot_age_ms`."""


ANSWERS: dict[str, type] = {
    "status": StatusAnswer,
    "orders": OrdersAnswer,
    "positions": PositionsAnswer,
    "caps": CapsAnswer,
    "incidents": IncidentsAnswer,
    "incident": IncidentAnswer,
    "schema": SchemaAnswer,
    "ping": Pong,
    "events": EventsAnswer,
    "kill": KillAnswer,
    "cancel-all": CancelAllAnswer,
    "stop": EndAnswer,
    "bot-kill": BotSwitchAnswer,
    "bot-suspend": BotSwitchAnswer,
    "bot-revoke": BotSwitchAnswer,
    "bot-resume": BotSwitchAnswer,
    "confirm-token": TokenAnswer,
    "start": StartAnswer,
    "re-arm": ReArmAnswer,
    "reconcile": ReconcileAnswer,
    "re-enable": ReEnableAnswer,
    "flatten": EndAnswer,
    "drill": DrillAnswer,
    "caps-tighten": CapsTightenAnswer,
    "incident-note": IncidentNoteAnswer,
    "incident-resolve": IncidentResolveAnswer,
    "explain": ExplainAnswer,
    "shutdown": ShutdownAnswer,
}


def types_of(answer: type) -> dict[str, str]:
    """By field its type in JSON's words; with `?` behind it where it may be absent."""
    optional: frozenset[str] = getattr(answer, "__optional_keys__", frozenset())
    hints = get_type_hints(answer)
    return {
        name: _json_type(hint) + ("?" if name in optional else "") for name, hint in hints.items()
    }


def _json_type(hint: Any) -> str:
    named = {bool: "boolean", int: "integer", float: "number", str: "text", type(None): "null"}
    if hint in named:
        return named[hint]
    inner = [one for one in get_args(hint) if one is not Any]
    if get_origin(hint) is list:
        return f"list of {_json_type(inner[0])}"
    if hint is Objects or get_origin(hint) is dict:
        return "object"
    return " or ".join(_json_type(one) for one in inner)
