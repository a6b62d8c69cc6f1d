"""The declared journal records against what is written, folded, read by evidence, and documented.

Lines are judged by a JSON-schema validator that is not ours (fastjsonschema). `of_today` demands
every field that this build writes; the committed schema takes older lines too.
"""

import ast
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema
import msgspec
import pytest

from daemon.core.fold import FOLDS
from daemon.model import journal_records
from daemon.model.records import EventType
from evidence.read.bot_lines import RECORD_CLASSES
from tests.architecture.tree import ROOT, parsed, product_modules
from tests.support.journal_page import (
    PAGE,
    SCHEMA,
    class_of,
    event_names,
    event_schema,
    evidence_fields,
    fields_of,
    page,
    schema_text,
    texts,
    writers,
)
from tests.support.sim_runner import SimRun

UNTYPED = {"RUN_START", "RECOVERY", "STATE_ACCEPTED", "CHECKPOINT", "INPUT", "KILL", "EQUITY",
           "SESSION_START", "RISK_CONTEXT"}  # fmt: skip
"""Written from values that are made elsewhere: the validator alone holds these."""


def camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_")) + "Record"


@cache
def judge(event: str) -> Callable[[Any], Any]:
    """A validator of one event's lines as this build writes them."""
    made: Callable[[Any], Any] = fastjsonschema.compile(
        event_schema(EventType(event), of_today=True)
    )
    return made


ENVELOPE = {
    "seq": 1, "ts": "2026-11-30T12:00:00.000000Z", "ts_ns": 1, "schema": 1, "run_id": "r-1",
    "session_id": "", "mode": "sim", "exchange": "sim", "level": "info", "is_error": False,
    "is_anomaly": False, "prev": "0" * 64,
}  # fmt: skip


def judge_facts(facts: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Validate every fact of an engine in an envelope; how many of each kind there were."""
    seen: Counter[str] = Counter()
    for fact in facts:
        line = json.loads(json.dumps({**ENVELOPE, **fact}))
        judge(fact["event_type"])(line)
        seen[fact["event_type"]] += 1
    return seen


# ---------------------------------------------------------------- what is written
def test_what_the_engine_writes_in_seeded_worlds_is_what_is_declared() -> None:
    seen: Counter[str] = Counter()
    for seed in range(400_000, 400_012):
        seen += judge_facts(_without_binding(SimRun(seed).run(20).facts))
    wanted = {
        "order_approved", "order_state", "order_denied", "fill", "order_reject", "timeout",
        "cancel_requested", "cancel_reject", "reconciled", "disconnected", "reconnect", "clock",
        "heartbeat", "session_stop", "trading_state", "gate_state", "instruments", "risk_context",
        "order_resolved", "incident_opened", "equity",
    }  # fmt: skip
    assert not wanted - set(seen), wanted - set(seen)


def _without_binding(facts: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """A simulated engine has no version, packages and host that a session could be bound to."""
    return (fact for fact in facts if fact["event_type"] != "session_start")


def test_a_field_too_many_or_too_few_or_of_another_type_is_caught() -> None:
    good = {**ENVELOPE, "event_type": "re_arm", "by": "op", "uid": 0, "reason": "seen"}
    judge("re_arm")(good)
    for bad in (
        {**good, "extra": 1},
        {k: v for k, v in good.items() if k != "uid"},
        {**good, "uid": "0"},
        {**good, "prev": "short"},
        {**good, "event_type": "rearm"},
    ):
        with pytest.raises(fastjsonschema.JsonSchemaValueException):
            judge("re_arm")(bad)


@pytest.mark.parametrize("amount", ["1.0", "-0.5", "0", "1E-8", "12345678901234567890.1"])
def test_amounts_are_decimal_text_and_nothing_else(amount: str) -> None:
    rate = {"properties": {"qty": event_schema(EventType.FILL, of_today=True)["properties"]["qty"]}}
    check = fastjsonschema.compile({"type": "object", **rate})
    check({"qty": amount})
    for bad in (1, 1.5, None, "NaN", "", "1,5", "Infinity"):
        with pytest.raises(fastjsonschema.JsonSchemaValueException):
            check({"qty": bad})


# ---------------------------------------------------------------- one declaration for all
def test_every_event_has_one_declaration_and_every_declaration_one_event() -> None:
    declared = {name for name in vars(journal_records) if name.endswith("Record")}
    assert declared == {camel(one.value) for one in EventType}
    for one in EventType:
        assert fields_of(class_of(one)), one
        assert texts()[class_of(one).__name__], one
        assert writers()[one.name], f"{one} is declared, and nothing writes it"


def test_the_page_and_the_schema_are_not_stale() -> None:
    assert PAGE.read_text() == page(), "python -m tests.support.journal_page"
    assert SCHEMA.read_text() == schema_text(), "python -m tests.support.journal_page"


@pytest.mark.xdist_group("architecture")  # the parsed tree is there
def test_each_writer_gives_the_fields_of_its_own_event() -> None:
    """mypy holds a record to its type; here: that the type is that of the event which is written.

    A call `….record(EventType.X, fields)` has `fields` annotated or made as `XRecord`.
    """
    found, typed = [], set()
    for name in product_modules():
        if not name.startswith("daemon/"):
            continue
        for function in ast.walk(parsed(name)):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for event, made in _records(function, event_names(parsed(name))):
                    if made == camel(event.lower()):
                        typed.add(event)
                    elif event not in UNTYPED:
                        found.append(f"{name}: {function.name}: {event} from {made or '?'}")
    assert not found, found
    assert typed == {one.name for one in EventType} - UNTYPED


def _records(function: ast.AST, names: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Of each line that a function writes: the event, and the type of its fields ("": unknown)."""
    types: dict[tuple[str, int], str] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.AnnAssign):
            types[ast.unparse(node.target), node.lineno] = _last(node.annotation)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            types[ast.unparse(node.targets[0]), node.lineno] = _last(node.value.func)
    for node in ast.walk(function):
        if not (isinstance(node, ast.Call) and len(node.args) >= 2):
            continue
        if _last(node.func) not in ("record", "note", "note_threadsafe"):
            continue
        first = ast.unparse(node.args[0])
        event = names.get(first, first).removeprefix("EventType.")
        if event not in EventType.__members__:
            continue
        given = node.args[1]
        if isinstance(given, ast.Call):
            yield event, _RETURNS.get(_last(given.func), _last(given.func))
        else:
            name = ast.unparse(given)
            before = [key for key in types if key[0] == name and key[1] < node.lineno]
            yield event, types[max(before)] if before else ""


_RETURNS = {
    "_refusal": "CancelRejectRecord",
    "approved_fields": "OrderApprovedRecord",
    "denied_fields": "OrderDeniedRecord",
}


def _last(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def test_each_fold_takes_the_fields_of_its_own_event() -> None:
    for event, fold in FOLDS.items():
        hint = fold.__annotations__.get("record", Mapping[str, Any])
        is_its_own = hint is class_of(EventType(event))
        reads_none = "record" not in fold.__annotations__
        assert is_its_own or reads_none, f"{event} is folded as {hint}"


# ---------------------------------------------------------------- the evidence's own reader
def test_the_evidence_knows_every_event_and_reads_no_field_that_is_not_declared() -> None:
    assert {one.__struct_config__.tag for one in RECORD_CLASSES} == {one.value for one in EventType}
    for one in EventType:
        declared = {field.name for field in fields_of(class_of(one))}
        declared |= set(journal_records.Envelope.__annotations__)
        assert not evidence_fields(one) - declared, one


@pytest.mark.parametrize("event", list(EventType))
def test_the_evidence_can_decode_every_type_that_a_field_may_have(event: EventType) -> None:
    """A line made from the declaration alone, with and without nulls, goes through its decoder."""
    decoder = msgspec.json.Decoder(tuple_union())
    for is_null in (False, True):
        fields = {
            field.name: _example(field.schema, is_null=is_null)
            for field in fields_of(class_of(event))
            if field.name in evidence_fields(event)
        }
        line = {**ENVELOPE, "event_type": event.value, **fields}
        read = decoder.decode(json.dumps(line))
        for name, value in fields.items():
            got = getattr(read, name)
            is_read = got is None or type(got) is type(value) or name in {"state", "input"}
            assert is_read, (event, name, got)


@cache
def tuple_union() -> Any:
    union: Any = RECORD_CLASSES[0]
    for one in RECORD_CLASSES[1:]:
        union = union | one
    return union


def _example(schema: Mapping[str, Any], *, is_null: bool) -> Any:
    if "anyOf" in schema:
        return None if is_null else _example(schema["anyOf"][0], is_null=False)
    if "enum" in schema:
        return schema["enum"][0]
    if "pattern" in schema:
        return "0" * 64 if "64" in schema["pattern"] else "1.500"
    inner = schema.get("items") or schema.get("additionalProperties")
    if schema["type"] == "array":
        return [_example(inner, is_null=is_null)]
    if schema["type"] == "object":
        return {} if inner is True else {"key": _example(inner, is_null=is_null)}
    return {"string": "text", "integer": 7, "boolean": True}[schema["type"]]


# ---------------------------------------------------------------- journals that are recorded
def lines_of(directory: Path) -> Iterable[dict[str, Any]]:
    for path in sorted(directory.glob("journal-*.jsonl")):
        for line in path.read_bytes().splitlines():
            yield json.loads(line)


def test_the_committed_schema_is_a_schema_and_knows_its_events() -> None:
    check = fastjsonschema.compile(json.loads(SCHEMA.read_text()))
    check({**ENVELOPE, "event_type": "re_arm", "by": "op", "uid": 0, "reason": "seen"})
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        check({**ENVELOPE, "event_type": "nothing"})
    assert (ROOT / "docs" / "JOURNAL.md").is_file()
