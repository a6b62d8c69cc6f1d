"""Reports whatever of a foreign input is not understood, with its place and the mend.

Rules of this file:
1. The launch procedure's fields are decided by its text alone (`evidence.read.event_classes`). What
   stands beside them is looked at here: a key that is nearly one of them, a level or flag in other
   words, a type that speaks of an error, an event inside an event.
2. A key that differs from a known one in case or separators only, and the usual other names of the
   level, are read like it; what they say can add an error, never take one away.
3. An input that is not understood forbids to say that it holds no error.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from evidence.read.event_classes import (
    ANOMALY_TYPES,
    ERROR_LEVELS,
    ERROR_TYPES,
    FALSE_WORDS,
    WARNING_LEVELS,
    EventClass,
    classify,
    event_type_of,
    is_plain_flag,
    word,
)

FIELDS = (
    "ts", "mode", "event_type", "type", "level", "severity", "log_level", "is_error", "is_anomaly",
    "msg", "session_id", "exchange", "symbol", "order_id", "client_order_id", "side", "qty",
    "price", "extra",
)  # fmt: skip
"""What the launch procedure names; a foreign stack may write more."""
KNOWN = frozenset(FIELDS)
JUDGED = ("event_type", "type", "level", "severity", "log_level", "is_error", "is_anomaly", "mode")
QUIET_LEVELS = frozenset(
    {"", "info", "information", "informational", "notice", "debug", "trace", "verbose", "fine",
     "success", "ok", "none", "notset"}
)  # fmt: skip
QUIET_WORDS = FALSE_WORDS | QUIET_LEVELS
COUNTED_LEVELS = WARNING_LEVELS | ERROR_LEVELS
LEVELS = ("level", "severity", "log_level")
LEVEL_ALIASES = frozenset(
    {"levelname", "levelno", "levelnumber", "leveltext", "lvl", "loglvl", "loglevelname",
     "logseverity", "severitytext", "severitynumber", "severityname", "severitylevel",
     "loglevelnumber", "priority", "prio", "syslogseverity", "errorlevel"}
)  # fmt: skip
"""Other stacks' names of the level, without separators."""
FLAG_ALIASES = frozenset(
    {"iserr", "haserror", "haserrors", "errorflag", "errflag", "isfailure", "isfailed", "isfatal",
     "isanomalous", "hasanomaly", "anomalyflag", "anomalous"}
)  # fmt: skip
TYPE_ALIASES = frozenset(
    {"eventname", "eventkind", "eventclass", "evttype", "evtype", "messagetype", "msgtype",
     "recordtype"}
)  # fmt: skip
SPEAKING = frozenset({"error", "err", "errors", "exception", "excinfo", "traceback", "stacktrace",
                      "failure", "failed", "fatal", "anomaly", "anomalies", "warning"})  # fmt: skip
"""Keys that say something only when they hold something."""
_TROUBLE = re.compile(r"error|fail|exception|fatal|critical|panic|crash")
_ANOMALY = re.compile(r"reject|time_?d?_?out|reconnect|rate_?limit|throttl|partial(ly)?_?fill")
"""Types that are nearly one of those which count as an anomaly."""
_LOUD = ERROR_LEVELS | WARNING_LEVELS | {"err", "crit", "emerg", "panic", "severe"}
"""Words that are a level, whatever the key is called that holds them."""
_SEPARATORS = re.compile(r"[^a-z0-9]+")
PYTHON_WARNING, PYTHON_ERROR = 30, 40
DEPTH_MAX = 3
_NOTHING = EventClass(is_error=False, is_anomaly=False)
KINDS_MAX = 40
OF_THE_PROCEDURE = frozenset({"malformed", "flag", "override", "time", "window"})
"""What the launch procedure's own text decides, with exit code 0; it is told all the same."""


class Doubt(msgspec.Struct):
    """One kind of doubt: how often, where first, and what to do."""

    kind: str
    what: str
    first: str
    mend: str
    count: int = 1

    def plain(self) -> dict[str, object]:
        """As an artifact carries it."""
        return {"kind": self.kind, "count": self.count, "first": self.first, "what": self.what,
                "mend": self.mend}  # fmt: skip

    def words(self) -> str:
        """One line for people."""
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.first}: {self.what}{times}; {self.mend}"


class Doubts:
    """All doubts about an input, each kind and wording once."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Doubt] = {}

    def note(self, kind: str, place: str, what: str, mend: str) -> None:
        """Add one."""
        found = self._kept.get((kind, what))
        if found is None and len(self._kept) >= KINDS_MAX:
            what = "more of these, worded otherwise"
            found = self._kept.get((kind, what))
        if found is None:
            self._kept[kind, what] = Doubt(kind, what, place, mend)
        else:
            found.count += 1

    def __bool__(self) -> bool:
        return bool(self._kept)

    def all(self) -> list[Doubt]:
        """All doubts in the order in which they were found."""
        return list(self._kept.values())

    @property
    def is_beyond_the_procedure(self) -> bool:
        """Whether anything is there that the launch procedure's text does not decide."""
        return any(doubt.kind not in OF_THE_PROCEDURE for doubt in self._kept.values())


def plain_name(key: str) -> str:
    """A key without case and separators."""
    return _SEPARATORS.sub("", key.lower())


_NEAR = {plain_name(name): name for name in FIELDS}
_BY_ALIAS = {
    **dict.fromkeys(LEVEL_ALIASES, "level"),
    **dict.fromkeys(TYPE_ALIASES, "event_type"),
    **{name: "is_anomaly" if "anom" in name else "is_error" for name in FLAG_ALIASES},
}
_NEAR_TYPES = {plain_name(name): name for name in (*ERROR_TYPES, *ANOMALY_TYPES)}


@lru_cache(maxsize=4096)
def field_meant(key: str) -> str:
    """The judged field that an unknown key looks like, or nothing."""
    if key in KNOWN:
        return ""
    plain = plain_name(key)
    near = _NEAR.get(plain) or _BY_ALIAS.get(plain, "")
    return near if near in JUDGED else ""


@lru_cache(maxsize=4096)
def _is_speaking(key: str) -> bool:
    return plain_name(key) in SPEAKING


@lru_cache(maxsize=4096)
def _type_meant(kind: str) -> tuple[str, bool]:
    """The counted type that a type looks like, or nothing; whether it speaks of trouble."""
    if kind in ERROR_TYPES or kind in ANOMALY_TYPES:
        return "", False
    return _NEAR_TYPES.get(plain_name(kind), ""), bool(_TROUBLE.search(kind))


@lru_cache(maxsize=4096)
def _is_nearly_anomalous(kind: str) -> bool:
    return kind not in ANOMALY_TYPES and bool(_ANOMALY.search(kind))


def look_at(event: Mapping[str, object], place: str, doubts: Doubts) -> EventClass:
    """Report what of an event is not understood; returns what unknown keys add to its verdict."""
    added = EventClass(is_error=False, is_anomaly=False)
    is_ours = {"seq", "prev", "run_id", "ts_ns"} <= event.keys()  # a journal's line is flat by law
    for key, value in event.items():
        if key not in KNOWN:
            meant = field_meant(key)
            if meant:
                doubts.note("heading", place, f"{key!r} is not a field, it looks like {meant!r}",
                            f"rename it to {meant!r}")  # fmt: skip
                said = classify({meant: _as_field(meant, value)})
                added = EventClass(added.is_error or said.is_error,
                                added.is_anomaly or said.is_anomaly)  # fmt: skip
            elif _is_speaking(key) and word(value) not in QUIET_WORDS:
                doubts.note("heading", place, f"{key!r} holds something and is not a field",
                            "say it by `is_error`, `is_anomaly` or `level`")  # fmt: skip
            elif not is_ours and isinstance(value, str) and word(value) in _LOUD:
                doubts.note("heading", place, f"{key!r} says {word(value)!r} and is not a field",
                            "say it by `is_error`, `is_anomaly` or `level`")  # fmt: skip
            elif not is_ours and isinstance(value, dict | list):
                _look_inside(key, value, place, doubts, 1)
        elif not isinstance(value, dict | list):
            continue
        elif key == "extra":
            _look_inside(key, value, place, doubts, 1, kind="override")
        else:
            doubts.note("value", place, f"{key!r} is {_kind(value)}, not text",
                        "write one plain value there")  # fmt: skip
    _look_at_words(event, place, doubts, is_ours=is_ours)
    return added


def the_worse(one: dict[str, object], other: dict[str, object]) -> dict[str, object]:
    """The reading of an event that counts more against it; the first if both are equal."""
    mine, theirs = classify(one), classify(other)
    worse = (theirs.is_error, theirs.is_anomaly) > (mine.is_error, mine.is_anomaly)
    return other if worse else one


def _as_field(meant: str, value: object) -> object:
    """The value of a similar key; a numeric level is read on the usual scale."""
    if meant == "level" and _is_number(value):
        number = float(str(value))
        return "error" if number >= PYTHON_ERROR else "warning" if number >= PYTHON_WARNING else ""
    return value


def _look_inside(
    key: str, value: object, place: str, doubts: Doubts, depth: int, *, kind: str = "nested"
) -> None:
    """Report known fields inside a nested object, where they are not judged."""
    for row in value if isinstance(value, list) else [value]:
        if not isinstance(row, dict):
            continue
        inner = next((k for k, v in row.items() if _speaks(str(k), v)), None)
        if inner is not None:
            doubts.note(kind, place, f"{inner!r} stands inside {key!r}",
                        "write events flat, one object or row each")  # fmt: skip
            return
        if depth < DEPTH_MAX:
            for name, below in row.items():
                _look_inside(f"{key}.{name}", below, place, doubts, depth + 1, kind=kind)


def _speaks(key: str, value: object) -> bool:
    """Whether a key inside an envelope says what would count outside of it."""
    meant = key if key in JUDGED else field_meant(key)
    if meant in {"is_error", "is_anomaly"}:
        return word(value) not in FALSE_WORDS
    if meant in {"level", "severity", "log_level"}:
        return word(value) not in QUIET_LEVELS
    return meant in {"event_type", "type"} and word(value) in ERROR_TYPES | ANOMALY_TYPES


def _look_at_words(
    event: Mapping[str, object], place: str, doubts: Doubts, *, is_ours: bool
) -> None:
    said = ""
    for name in LEVELS:
        value = event.get(name)
        if value is None or value == "" or isinstance(value, dict | list):
            continue
        text = word(value)
        if text in QUIET_LEVELS or text in COUNTED_LEVELS:
            if said and text in COUNTED_LEVELS and text != said:
                doubts.note("override", place, f"{name!r} is {text!r} and does not count: another "
                            f"field says {said!r}", "write one level")  # fmt: skip
            said = said or text
        elif isinstance(value, bool) or _is_number(value):
            doubts.note("level", place, f"{name!r} is {value!r:.40}: a number has no one scale",
                        "write the level as a word: info, warning, error, critical")  # fmt: skip
        else:
            doubts.note("level", place, f"{name!r} is {text[:40]!r}, which is no known level",
                        "use info, warning, error or critical")  # fmt: skip
    for name in ("is_error", "is_anomaly"):
        value = event.get(name)
        if (
            value is not True
            and value is not False
            and (isinstance(value, float) or not is_plain_flag(value))
        ):
            doubts.note("flag", place, f"{name!r} is {value!r:.40}: it counts as no",
                        "write true or false")  # fmt: skip
    kind, other = event_type_of(event), word(event.get("type"))
    meant, is_trouble = _type_meant(kind)
    if other != kind and (other in ERROR_TYPES or other in ANOMALY_TYPES):
        doubts.note("override", place, f"'type' is {other!r} and does not count: 'event_type' says "
                    f"{kind[:60]!r}", "write one type")  # fmt: skip
    if meant:
        doubts.note("type", place, f"type {kind[:60]!r} looks like {meant!r}",
                    f"write {meant!r}")  # fmt: skip
    elif (is_trouble and not classify(event).is_error) or (
        not is_ours and _is_nearly_anomalous(kind) and classify(event) == _NOTHING
    ):
        doubts.note("type", place, f"type {kind[:60]!r} speaks of trouble and counts as none",
                    "give it a level or `is_error`")  # fmt: skip


def _is_number(value: object) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, int | float):
        return True
    try:
        float(str(value).strip())
    except ValueError:
        return False
    return isinstance(value, str)


def _kind(value: object) -> str:
    return "a list" if isinstance(value, list) else "an object"
