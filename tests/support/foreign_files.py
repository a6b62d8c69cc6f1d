"""One list of events, written down in every way that a foreign stack might, or that goes wrong.

Each writer takes events and gives a file's name and bytes. The events' true count of errors is
known; a reader must find as many, or say that it does not understand.
"""

import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable
from typing import Any

Event = dict[str, Any]
Writer = Callable[[list[Event]], tuple[str, bytes]]
NAMES = ("ts", "mode", "event_type", "level", "is_error", "msg")


def table(events: list[Event], *, delimiter: str = ",", names: list[str] | None = None) -> str:
    """The events as a table, the headings as given."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(names or NAMES)
    writer.writerows([[event.get(name, "") for name in NAMES] for event in events])
    return out.getvalue()


def lines(events: list[Event]) -> str:
    """The events as JSON lines."""
    return "".join(json.dumps(event) + "\n" for event in events)


def renamed(old: str, new: str) -> Writer:
    """A table with another heading."""

    def write(events: list[Event]) -> tuple[str, bytes]:
        names = [new if name == old else name for name in NAMES]
        return "e.csv", table(events, names=names).encode()

    return write


def rekeyed(old: str, new: str, value: Callable[[Any], Any] = lambda v: v) -> Writer:
    """JSON lines with another key, and perhaps another value."""

    def write(events: list[Event]) -> tuple[str, bytes]:
        made = [
            {(new if k == old else k): (value(v) if k == old else v) for k, v in event.items()}
            for event in events
        ]
        return "e.jsonl", lines(made).encode()

    return write


def encoded(encoding: str, name: str = "e.csv") -> Writer:
    """Another encoding."""

    def write(events: list[Event]) -> tuple[str, bytes]:
        text = table(events) if name.endswith("csv") else lines(events)
        if name.endswith(".json"):
            text = json.dumps(events)
        return name, text.encode(encoding)

    return write


def delimited(delimiter: str) -> Writer:
    """Another delimiter."""
    return lambda events: ("e.csv", table(events, delimiter=delimiter).encode())


def doubled_key(*, is_last_quiet: bool) -> Writer:
    """JSON in which the level stands twice, one of them quiet."""

    def write(events: list[Event]) -> tuple[str, bytes]:
        made = []
        for event in events:
            said, quiet = json.dumps(event["level"]), '"info"'
            first, last = (said, quiet) if is_last_quiet else (quiet, said)
            rest = {k: v for k, v in event.items() if k not in {"level", "is_error"}}
            made.append(json.dumps(rest)[:-1] + f',"level":{first} , "level" :{last}}}\n')
        return "e.jsonl", "".join(made).encode()

    return write


def doubled_heading(events: list[Event]) -> tuple[str, bytes]:
    """A table with two columns of one name, the last one quiet."""
    quiet = [line + ("," + ("level" if n == 0 else "info")) for n, line in
             enumerate(table(events).splitlines())]  # fmt: skip
    return "e.csv", ("\n".join(quiet) + "\n").encode()


def unclosed_quote(events: list[Event]) -> tuple[str, bytes]:
    """A quote that is never closed, in the first row."""
    head, *rows = table(events).splitlines()
    return "e.csv", "\n".join([head, 't,testnet,fill,info,no,"begins', *rows]).encode()


def swallowing_quotes(events: list[Event]) -> tuple[str, bytes]:
    """One quoted cell that holds all the rows."""
    head, *rows = table(events).splitlines()
    inner = "\n".join(rows)
    return "e.csv", f'{head}\nt,testnet,fill,info,no,"{inner}"\n'.encode()


def wrapped(events: list[Event]) -> tuple[str, bytes]:
    """An object around the array."""
    return "e.json", json.dumps({"events": events, "count": len(events)}).encode()


def enveloped(events: list[Event]) -> tuple[str, bytes]:
    """Each event inside another."""
    return "e.jsonl", lines([{"ts": "x", "record": {"log": event}} for event in events]).encode()


def packed_under_a_plain_name(events: list[Event]) -> tuple[str, bytes]:
    """gzip without its ending."""
    return "e.jsonl", gzip.compress(lines(events).encode())


def packed_otherwise(events: list[Event]) -> tuple[str, bytes]:
    """xz."""
    return "e.jsonl", lzma.compress(lines(events).encode())


def cut_gzip(events: list[Event]) -> tuple[str, bytes]:
    """A download that broke off."""
    whole = gzip.compress(lines(events).encode())
    return "e.jsonl.gz", whole[: len(whole) * 2 // 3]


def returns_only(events: list[Event]) -> tuple[str, bytes]:
    """Lines that end with a carriage return alone."""
    return "e.jsonl", lines(events).replace("\n", "\r").encode()


def with_nul_bytes(events: list[Event]) -> tuple[str, bytes]:
    """NUL bytes inside of words."""
    return "e.csv", table(events).replace("error", "err\0or").encode()


def without_headings(events: list[Event]) -> tuple[str, bytes]:
    """Rows alone."""
    return "e.csv", table(events).partition("\n")[2].encode()


def sep_line_first(events: list[Event]) -> tuple[str, bytes]:
    """What a spreadsheet writes."""
    return "e.csv", b"sep=,\n" + table(events).encode()


def lines_named_json(events: list[Event]) -> tuple[str, bytes]:
    """JSON lines under an ending that is read as an array."""
    return "e.ndjson", lines(events).encode()


def table_named_lines(events: list[Event]) -> tuple[str, bytes]:
    """A table under the ending of JSON lines."""
    return "e.jsonl", table(events).encode()


def lines_named_table(events: list[Event]) -> tuple[str, bytes]:
    """JSON lines under the ending of a table."""
    return "e.csv", lines(events).encode()


def latin_words(events: list[Event]) -> tuple[str, bytes]:
    """Latin-1 beyond ASCII, in the level itself."""
    return "e.csv", table(events).replace("error", "erreur é").encode("latin-1")


def cut_short(events: list[Event]) -> tuple[str, bytes]:
    """The last line is half there."""
    return "e.jsonl", lines(events)[:-12].encode()


PYTHON = {"error": 40, "critical": 50, "fatal": 50, "warning": 30, "info": 20}
SYSLOG = {"error": 3, "critical": 2, "fatal": 0, "warning": 4, "info": 6}
OTHER_WORDS = {"error": "ERR", "critical": "emerg", "fatal": "PANIC", "warning": "W", "info": "I"}
HEADINGS = ("Level", "LEVEL", "levelname", "log-level", "logLevel", "Severity", "lvl",
            "severity_text", "level ", "Log Level")  # fmt: skip
WRITERS: dict[str, Writer] = {
    "plain lines": lambda events: ("e.jsonl", lines(events).encode()),
    "plain table": lambda events: ("e.csv", table(events).encode()),
    "plain array": lambda events: ("e.json", json.dumps(events).encode()),
    **{f"heading {name}": renamed("level", name) for name in HEADINGS},
    **{f"key {name}": rekeyed("level", name) for name in HEADINGS},
    "heading Is_Error": renamed("is_error", "Is_Error"),
    "key isError": rekeyed("is_error", "isError"),
    "key eventType": rekeyed("event_type", "eventType"),
    "python's levels": rekeyed("level", "level", lambda v: PYTHON.get(v, v)),
    "python's levelno": rekeyed("level", "levelno", lambda v: PYTHON.get(v, v)),
    "syslog's levels": rekeyed("level", "level", lambda v: SYSLOG.get(v, v)),
    "levels as text of numbers": rekeyed("level", "level", lambda v: str(PYTHON.get(v, v))),
    "other words": rekeyed("level", "level", lambda v: OTHER_WORDS.get(v, v)),
    "a level in a list": rekeyed("level", "level", lambda v: [v]),
    "a level in an object": rekeyed("level", "level", lambda v: {"name": v}),
    "upper case": rekeyed("level", "level", str.upper),
    "types in camel case": rekeyed("event_type", "event_type",
                                   lambda v: v.title().replace("_", "")),
    "types with blanks": rekeyed("event_type", "event_type", lambda v: v.replace("_", " ")),
    "flags in words": rekeyed("is_error", "is_error", lambda v: "oui" if v else "non"),
    "flags on and off": rekeyed("is_error", "is_error", lambda v: "on" if v else "off"),
    "flags as numbers": rekeyed("is_error", "is_error", lambda v: 2 if v else 0),
    "flags as decimals": rekeyed("is_error", "is_error", lambda v: 1.0 if v else 0.0),
    "flags nested": rekeyed("is_error", "is_error", lambda v: [v]),
    "semicolons": delimited(";"), "tabs": delimited("\t"), "bars": delimited("|"),
    **{f"{code} table": encoded(code) for code in ("utf-8-sig", "utf-16", "utf-16-le",
                                                   "utf-16-be", "utf-32", "utf-32-be")},
    **{f"{code} lines": encoded(code, "e.jsonl") for code in ("utf-8-sig", "utf-16", "utf-16-be",
                                                              "utf-32", "utf-32-le")},
    "utf-16 array": encoded("utf-16", "e.json"),
    "latin-1": latin_words,
    "doubled key, the last one quiet": doubled_key(is_last_quiet=True),
    "doubled key, the first one quiet": doubled_key(is_last_quiet=False),
    "doubled heading": doubled_heading,
    "unclosed quote": unclosed_quote, "swallowing quotes": swallowing_quotes,
    "object around the array": wrapped, "envelopes": enveloped,
    "gzip under a plain name": packed_under_a_plain_name, "xz": packed_otherwise,
    "cut gzip": cut_gzip, "carriage returns": returns_only, "NUL": with_nul_bytes,
    "no headings": without_headings, "sep line": sep_line_first,
    "lines named ndjson": lines_named_json, "table named jsonl": table_named_lines,
    "lines named csv": lines_named_table, "cut line": cut_short,
}  # fmt: skip
