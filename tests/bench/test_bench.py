"""The bench itself: its arithmetic, its files, its venue (asked by a client we did not write)."""

import asyncio
import json
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.bench.__main__ import ROWS, main
from tests.bench.clients import RawClient, client_frame, place_payload
from tests.bench.order_path import Samples, arrivals, measure, rows_of, spinning_venue
from tests.bench.report import Row, median, number, quantile, write_json


def test_a_row_is_measured_and_written_as_json(tmp_path: Path) -> None:
    target = tmp_path / "bench.json"
    assert main(["--rows", "c", "--quick", "--json", str(target)]) == 0
    body = json.loads(target.read_text())
    assert body["schema"] == 1
    assert body["quick"] is True
    assert [row["row"] for row in body["rows"]] == ["c", "c", "c"]
    for row in body["rows"]:
        assert row["value"] > 0
        assert isinstance(row["met"], bool)
    durable = body["rows"][2]
    assert durable["ratio"] == pytest.approx(durable["value"] / durable["baseline"])


def test_an_unknown_row_is_refused_with_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--rows", "nonsense"])
    assert ", ".join(ROWS) in capsys.readouterr().err


def test_a_row_that_fails_costs_the_exit_code_but_not_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ROWS, "broken", "tests.bench.no_such_module")
    target = tmp_path / "bench.json"
    assert main(["--rows", "broken,c", "--quick", "--json", str(target)]) == 1
    assert json.loads(target.read_text())["rows"]


def test_the_venue_answers_a_client_that_we_did_not_write() -> None:
    async def ask(port: int) -> dict[str, object]:
        async with connect(f"ws://127.0.0.1:{port}/ws-api/v3", compression=None) as socket:
            await socket.send(place_payload("abc-1").decode())
            answer: dict[str, object] = json.loads(await asyncio.wait_for(socket.recv(), 10))
            assert await asyncio.wait_for(await socket.ping(), 10) is not None
            return answer

    with spinning_venue() as port:
        answer = asyncio.run(ask(port))
        arrived = arrivals(port)
        assert arrivals(port) == {}, "asking forgets"
    assert answer["id"] == "abc-1"
    assert answer["status"] == 200
    result = answer["result"]
    assert isinstance(result, dict)
    assert (result["clientOrderId"], result["status"]) == ("abc-1", "NEW")
    assert (result["price"], result["origQty"], result["side"]) == ("25000", "0.001", "BUY")
    assert list(arrived) == ["abc-1"]


def test_each_order_is_matched_by_its_id() -> None:
    with spinning_venue() as port:
        samples = measure(port, [RawClient], quick=True)
    took = samples.rounds["prebuilt bytes"]
    assert len(took) == 2
    assert all(microseconds > 0 for round_ in took for microseconds in round_)


def test_an_order_that_never_arrived_is_an_error() -> None:
    samples = Samples()
    with pytest.raises(RuntimeError, match="1 of 2 orders never arrived"):
        samples.add("x", [("a", 0), ("b", 0)], {"a": 5})


def test_ratios_are_of_one_run() -> None:
    samples = Samples()
    took = {"prebuilt bytes": 7, "seatrial": 28, "ccxt async": 250, "python-binance": 140}
    for name, took_us in took.items():
        samples.add(name, [("a", 0)], {"a": took_us * 1_000})
    over_raw, under_peer, under_other = rows_of(samples)
    assert under_other.ratio == pytest.approx(5.0)
    assert over_raw.ratio == pytest.approx(4.0)
    assert over_raw.met
    assert not over_raw.moonshot_met
    assert under_peer.ratio == pytest.approx(250 / 28)
    assert under_peer.met


def test_quantiles_and_numbers() -> None:
    assert median([3, 1, 2]) == 2
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.99) == 4.0
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)
    assert [number(value) for value in (1_234_567, 123.4, 12.34, 0.1234)] == [
        "1,234,567",
        "123",
        "12.3",
        "0.123",
    ]


def test_a_figure_that_is_no_number_cannot_be_written(tmp_path: Path) -> None:
    row = Row(row="a", name="x", value=float("nan"), unit="", target="", met=None)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json([row], tmp_path / "x.json", quick=True, seconds=0.0)


def test_a_client_frame_is_masked() -> None:
    frame = client_frame(b"a" * 200)
    assert frame[:4] == b"\x81\xfe\x00\xc8"
    assert frame[8:12] == bytes(byte ^ ord("a") for byte in b"\x11\x22\x33\x44")
