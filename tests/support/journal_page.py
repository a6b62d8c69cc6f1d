"""docs/JOURNAL.md and docs/journal.schema.json, made from the declared journal records.

    python -m tests.support.journal_page      write both

The fields come from `daemon/model/journal_records.py`, what recovery folds from the fold itself,
who writes an event from the calls that name it, and what the evidence reads from its own structs.
"""

import ast
import itertools
import json
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Union

from daemon.core.fold import FOLDS
from daemon.model import journal_records
from daemon.model.journal_records import Envelope, Meaning
from daemon.model.records import INFO, EventType, severity_of
from evidence.read.bot_lines import RECORD_CLASSES
from evidence.read.journal_lines import TAG, JournalLine
from tests.architecture.tree import ROOT, parsed, product_modules

PAGE = ROOT / "docs" / "JOURNAL.md"
SCHEMA = ROOT / "docs" / "journal.schema.json"
DECLARED = "daemon/model/journal_records.py"
FIRST_DAY = "2026-11-22"
PLAIN = {str: "text", int: "integer", bool: "boolean"}
JSON_TYPE = {str: "string", int: "integer", bool: "boolean"}

HEAD = """# The journal

Generated (`python -m tests.support.journal_page`) from `daemon/model/journal_records.py`; a test
fails when it is stale. [journal.schema.json](journal.schema.json) says the same as a JSON schema
(draft 7).

A journal is one JSON object a line, UTF-8, in segments `journal-NNNNNN.jsonl` that are one chain.
Keys of the envelope come first, `prev` last. Amounts are decimal text, times whole nanoseconds
since 1970 UTC, and no field is a floating-point number. A name is never changed; a reader skips
fields that it does not know.

*Since* is the day from which the field is always written; lines of older journals lack it.
*Sometimes* means that only some lines have it. *Evidence* marks what the evidence reads; it has a
reader of its own (`evidence/read/journal_lines.py`).

"""


class Field(NamedTuple):
    """One field as the page shows it, and its JSON schema."""

    name: str
    type: str
    form: str
    since: str
    is_optional: bool
    schema: dict[str, Any]


def class_of(event_type: EventType) -> Any:
    """`ORDER_STATE` is declared by `OrderStateRecord`."""
    name = "".join(word.capitalize() for word in event_type.value.split("_"))
    return getattr(journal_records, f"{name}Record")


@cache
def fields_of(declared: Any) -> tuple[Field, ...]:
    """The fields of a declared record, in the order of a line."""
    hints = typing.get_type_hints(declared, include_extras=True)
    return tuple(_field(name, hint) for name, hint in hints.items())


def _field(name: str, hint: Any) -> Field:
    is_optional = typing.get_origin(hint) is NotRequired
    if is_optional:
        (hint,) = typing.get_args(hint)
    since = FIRST_DAY
    if typing.get_origin(hint) is Annotated and isinstance(hint.__metadata__[-1], str):
        since = hint.__metadata__[-1]
    words, form, schema = _type(hint)
    return Field(name, words, form, since, is_optional, schema)


def _type(hint: Any) -> tuple[str, str, dict[str, Any]]:
    """Of one annotation: the words for it, its unit or form, and its JSON schema."""
    while isinstance(hint, typing.NewType):
        hint = hint.__supertype__
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        words, form, schema = _type(args[0])
        for one in args[1:]:
            if isinstance(one, Meaning):
                form = one.text
                schema = schema | ({"pattern": one.pattern} if one.pattern else {})
            elif isinstance(one, type) and issubclass(one, StrEnum):
                form = ", ".join(member.value for member in one)
                schema = schema | {"enum": [member.value for member in one]}
        return words, form, schema
    if origin in (Union, types.UnionType):
        (inner,) = (arg for arg in args if arg is not type(None))
        words, form, schema = _type(inner)
        return f"{words} or null", form, {"anyOf": [schema, {"type": "null"}]}
    if origin is Literal:
        return "text", ", ".join(args), {"type": "string", "enum": list(args)}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        words, form, schema = _type(args[1]) if args[1] is not Any else ("", "", {})
        told = f"object of {words}" if words else "object"
        return told, form, {"type": "object", "additionalProperties": schema or True}
    if isinstance(origin, type) and issubclass(origin, Sequence):
        words, form, schema = _type(args[0])
        return f"list of {words}", form, {"type": "array", "items": schema}
    return PLAIN[hint], "", {"type": JSON_TYPE[hint]}


@cache
def evidence_fields(event_type: EventType) -> frozenset[str]:
    """The fields beyond the envelope that the evidence's struct of this event names."""
    (read,) = (one for one in RECORD_CLASSES if one.__struct_config__.tag == event_type.value)
    return frozenset(read.__struct_fields__) - frozenset(JournalLine.__struct_fields__)


# ---------------------------------------------------------------- the JSON schema
def event_schema(event_type: EventType, *, of_today: bool) -> dict[str, Any]:
    """The schema of one event's lines.

    Lines of this build have every field that is not optional; lines of older ones may lack those
    that came later.
    """
    fields = (*fields_of(Envelope), *fields_of(class_of(event_type)))
    properties = {field.name: field.schema for field in fields}
    properties["event_type"] = {"const": event_type.value}
    required = [
        field.name
        for field in fields
        if not field.is_optional and (of_today or field.since == FIRST_DAY)
    ]
    return {
        "type": "object",
        "properties": properties,
        "required": list(dict.fromkeys(required)),
        "additionalProperties": False,
    }


def schema() -> dict[str, Any]:
    """The schema of a journal's line, whatever build wrote it."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A line of a seatrial journal",
        "type": "object",
        "required": ["event_type"],
        "properties": {"event_type": {"enum": [one.value for one in EventType]}},
        "allOf": [
            {
                "if": {"properties": {"event_type": {"const": one.value}}},
                "then": {"$ref": f"#/definitions/{one.value}"},
            }
            for one in EventType
        ],
        "definitions": {one.value: event_schema(one, of_today=False) for one in EventType},
    }


# ---------------------------------------------------------------- the page
@cache
def texts() -> dict[str, str]:
    """What each declaration's docstring says."""
    body = parsed(DECLARED).body
    found = {}
    for node, after in itertools.pairwise(body):
        if isinstance(node, ast.Assign) and isinstance(after, ast.Expr):
            assert isinstance(after.value, ast.Constant)
            found[ast.unparse(node.targets[0])] = str(after.value.value).strip()
    return found


@cache
def writers() -> dict[str, list[str]]:
    """By event, the product's modules that write it: it is the first thing of a call or a tuple."""
    found: dict[str, list[str]] = {one.name: [] for one in EventType}
    for name in product_modules():
        if not name.startswith("daemon/"):
            continue
        for event in sorted(set(_written(parsed(name)))):
            found[event].append(name)
    return found


def event_names(module: ast.Module) -> dict[str, str]:
    """The names that a module gives to events at its top: a lookup less where time counts.

    `_FILL = EventType.FILL`, or several at once.
    """
    found: dict[str, str] = {}
    for node in module.body:
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            is_many = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
            targets = target.elts if is_many else [target]
            values = value.elts if is_many else [value]
            found |= {ast.unparse(k): ast.unparse(v) for k, v in zip(targets, values, strict=True)}
    return found


def _written(module: ast.Module) -> Iterator[str]:
    names = event_names(module)
    for node in ast.walk(module):
        parts = node.args if isinstance(node, ast.Call) else getattr(node, "elts", [])
        is_line = isinstance(node, ast.Call) or (isinstance(node, ast.Tuple) and len(parts) == 3)
        if is_line and parts:
            first = ast.unparse(parts[0])
            event = names.get(first, first)
            if event.startswith("EventType."):
                yield event.removeprefix("EventType.")


def _rows(fields: Sequence[Field], read: frozenset[str]) -> str:
    rows = "| field | type | unit or form | since | evidence |\n|---|---|---|---|---|\n"
    for field in fields:
        since = "sometimes" if field.is_optional else field.since
        mark = "yes" if field.name in read else ""
        rows += f"| `{field.name}` | {field.type} | {field.form} | {since} | {mark} |\n"
    return rows


def page() -> str:
    """`docs/JOURNAL.md` as it must read."""
    out = HEAD + f"## Envelope\n\n{texts()['Envelope']}\n\n"
    out += _rows(fields_of(Envelope), frozenset(JournalLine.__struct_fields__) | {TAG})
    out += "\n## Events\n\n| event | counts as | recovery | what it says |\n|---|---|---|---|\n"
    for one in EventType:
        severity = severity_of(one)
        counts = "anomaly" if severity.is_anomaly else severity.level
        folds = "folds it" if one in FOLDS else ""
        first = texts()[class_of(one).__name__].replace("\n", " ").partition(". ")[0].rstrip(".")
        out += f"| [`{one}`](#{one}) | {counts} | {folds} | {first} |\n"
    for one in EventType:
        declared = class_of(one)
        severity = severity_of(one)
        told = [f"Written by {', '.join(f'`{name}`' for name in writers()[one.name])}."]
        if one in FOLDS:
            told.append("Recovery folds it.")
        if severity != INFO:
            told.append(f"Counts as {'an anomaly' if severity.is_anomaly else 'an error'}.")
        out += f"\n### {one}\n\n{texts()[declared.__name__]}\n\n{' '.join(told)}\n\n"
        out += _rows(fields_of(declared), evidence_fields(one))
    return out


def schema_text() -> str:
    """`docs/journal.schema.json` as it must read."""
    whole = schema()
    definitions = whole.pop("definitions")
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in definitions.items())
    head = json.dumps(whole)[:-1]
    return f'{head},\n"definitions": {{\n{lines}\n}}}}\n'


if __name__ == "__main__":
    PAGE.write_text(page())
    SCHEMA.write_text(schema_text())
