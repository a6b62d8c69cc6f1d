"""Foreign bytes end in a request or in one fault, whatever they are and however they arrive."""

import itertools
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.control_errors import ProtocolErrorCode
from control.methods import METHODS, MethodParams, validated
from control.protocol import (
    ErrorReply,
    LineSplitter,
    Request,
    encode_event,
    encode_fault,
    encode_result,
    parse_request,
)
from control.tool.client import encode_request

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
IDS = st.integers(-(2**53), 2**53) | st.text(max_size=64)
NAMES = st.sampled_from(sorted(METHODS)) | st.text(max_size=20)


def lines_of(splitter: LineSplitter, chunks: list[bytes]) -> list[bytes | ProtocolErrorCode]:
    """All lines that come out, with the fault that ends them if there is one."""
    found: list[bytes | ProtocolErrorCode] = []
    for chunk in chunks:
        splitter.feed(chunk)
        try:
            while (line := splitter.next_line()) is not None:
                found.append(line)
        except ErrorReply as fault:
            return [*found, fault.code]
    return found


@given(
    st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"")), max_size=12),
    st.binary(max_size=8).map(lambda b: b.replace(b"\n", b"")),
    st.data(),
)
def test_lines_do_not_depend_on_how_the_bytes_arrive(
    lines: list[bytes], rest: bytes, data: st.DataObject
) -> None:
    stream = b"".join(line + b"\n" for line in lines) + rest
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    bounds = [0, *cuts, len(stream)]
    chunks = [stream[a:b] for a, b in itertools.pairwise(bounds)]
    splitter = LineSplitter(limit=16)
    assert lines_of(splitter, chunks) == lines
    assert splitter.pending == bool(rest)


@given(st.binary(max_size=40), st.integers(1, 16))
def test_no_line_is_longer_than_the_limit(stream: bytes, limit: int) -> None:
    found = lines_of(LineSplitter(limit), [stream])
    longest = max((len(part) for part in stream.split(b"\n")), default=0)
    assert (ProtocolErrorCode.LINE_TOO_LONG in found) == (longest > limit)
    assert all(len(line) <= limit for line in found if isinstance(line, bytes))


def outcome_of(line: bytes) -> Request | ErrorReply:
    try:
        return parse_request(line)
    except ErrorReply as fault:
        return fault


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_fault(line: bytes) -> None:
    outcome = outcome_of(line)
    assert isinstance(outcome, Request) or outcome.code in {
        ProtocolErrorCode.PARSE_ERROR,
        ProtocolErrorCode.INVALID_REQUEST,
        ProtocolErrorCode.INVALID_PARAMS,
        ProtocolErrorCode.UNSUPPORTED_VERSION,
    }


@given(
    st.dictionaries(
        st.sampled_from(["jsonrpc", "id", "method", "params", "version", "x"]),
        JSON | st.just("2.0") | NAMES,
    )
)
def test_any_object_is_a_request_or_a_fault_with_its_own_id(message: dict[str, Any]) -> None:
    outcome = outcome_of(orjson.dumps(message))
    if isinstance(outcome, Request):
        assert outcome.request_id == message["id"]
        assert outcome.method == message["method"]
        assert message["jsonrpc"] == "2.0"
    else:
        assert outcome.request_id is None or outcome.request_id == message["id"]


@given(NAMES, JSON | st.dictionaries(st.sampled_from(["reason", "command_id", "symbol"]), JSON))
def test_any_params_are_valid_or_a_fault(method: str, params: Any) -> None:
    spec = METHODS.get(method)
    if spec is None:
        return
    outcome: MethodParams | ErrorReply
    try:
        outcome = validated(spec, params, 1)
    except ErrorReply as fault:
        outcome = fault
    if isinstance(outcome, ErrorReply):
        assert outcome.code in {ProtocolErrorCode.INVALID_PARAMS, ProtocolErrorCode.REASON_REQUIRED}
        assert outcome.request_id == 1
        assert outcome.message
        assert len(encode_fault(outcome)) < 20_000
    else:
        reason = getattr(outcome, "reason", "")
        assert reason.isprintable()
        assert reason.strip() or not spec.reason_required


@given(IDS, st.sampled_from(sorted(METHODS)), st.dictionaries(st.text(), st.text(), max_size=3))
def test_what_we_encode_we_parse(
    request_id: int | str, method: str, params: dict[str, str]
) -> None:
    line = encode_request(request_id, method, params)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert parse_request(line[:-1]) == Request(request_id, method, params)


@given(IDS, JSON.filter(lambda value: orjson.loads(orjson.dumps(value)) == value))
def test_an_answer_is_one_line_with_its_id(request_id: int | str, result: Any) -> None:
    line = encode_result(request_id, result)
    assert line.count(b"\n") == 1
    assert orjson.loads(line) == {"jsonrpc": "2.0", "id": request_id, "result": result}


@given(st.sampled_from(list(ProtocolErrorCode)), st.text(), IDS)
def test_a_fault_is_one_line_with_code_and_name(
    code: ProtocolErrorCode, message: str, request_id: int | str
) -> None:
    line = encode_fault(ErrorReply(code, message, request_id=request_id))
    assert line.count(b"\n") == 1
    error = orjson.loads(line)["error"]
    assert (error["code"], error["message"]) == (code, message)
    assert error["data"]["name"] == code.name.lower()


def test_an_event_is_a_notification() -> None:
    assert orjson.loads(encode_event(b'{"seq":1}')) == {
        "jsonrpc": "2.0",
        "method": "event",
        "params": {"seq": 1},
    }


@pytest.mark.parametrize("depth", [500, 5_000, 30_000])
def test_deep_nesting_does_not_bring_the_parser_down(depth: int) -> None:
    with pytest.raises(ErrorReply):
        parse_request(b'{"a":' * depth + b"1" + b"}" * depth)
