"""Shadow mode as an operator runs it: a venue that follows another one, and a daemon behind it.

The testnet is played by a second simulated venue. Its ledger, with a row for every request, is the
judge of what reached it.
"""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from daemon.cli.sim_command import sim_command
from daemon.shell.sim_host.options import SimOptions, followed_venue
from evidence.promotion.promote_command import promote_command
from tests.support.bot_box import BotBox
from tests.support.ports import kept_port
from tests.support.raw_bot import RawBot
from tests.support.sim_process import SimProcess

DEADLINE_S = 60.0
SYMBOLS = "BTCUSDT,ETHUSDT"
PUBLIC = {
    "REST GET /api/v3/exchangeInfo",
    "REST GET /api/v3/depth",
    "REST GET /api/v3/ticker/24hr",
    "STREAM open",
    "STREAM close",
}
"""All that the followed venue may ever see of a shadow."""


def follow(leader: SimProcess, **more: object) -> dict[str, object]:
    return {
        "follow": "sim",
        "follow_rest": leader.rest,
        "follow_streams": leader.streams,
        "symbols": "BTCUSDT",
        **more,
    }


def asked(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
        return json.load(answer)


def until(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + DEADLINE_S
    while not (value := found()):
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)
    return value


def state_of(shadow: SimProcess) -> dict[str, Any]:
    state: dict[str, Any] = asked(f"{shadow.admin}/follow")
    return state


@pytest.fixture(scope="module")
def leader() -> Iterator[SimProcess]:
    with SimProcess(seed=3, symbols=SYMBOLS, wire=True) as process:
        yield process


def test_its_market_is_the_followed_one(leader: SimProcess) -> None:
    with SimProcess(seed=9, **follow(leader)) as shadow:
        assert shadow.ready["follows"] == {
            "environment": "sim",
            "rest": leader.rest,
            "streams": leader.streams,
        }
        until(lambda: state_of(shadow)["symbols"]["BTCUSDT"]["trades"] >= 5)
        trades = f"{shadow.rest}/api/v3/trades?symbol=BTCUSDT"
        mine = [(row["price"], row["qty"], row["isBuyerMaker"]) for row in asked(trades)]
        there = [
            (row["price"], row["qty"], row["isBuyerMaker"])
            for row in asked(f"{leader.rest}/api/v3/trades?symbol=BTCUSDT&limit=1000")
        ]
        first = there.index(mine[0])
        assert there[first : first + len(mine)] == mine  # every trade, in order, none besides
        rules = [
            asked(f"{one.rest}/api/v3/exchangeInfo?symbol=BTCUSDT")["symbols"][0]["filters"]
            for one in (leader, shadow)
        ]
        assert rules[0] == rules[1]


def test_a_loss_is_told_and_it_comes_back(tmp_path: Path) -> None:
    port = kept_port()
    leading = {"seed": 3, "symbols": SYMBOLS, "port": port, "state": tmp_path / "leader"}
    leader = SimProcess(**leading).start()
    try:
        with SimProcess(seed=9, **follow(leader)) as shadow:
            until(lambda: state_of(shadow)["symbols"]["BTCUSDT"]["tops"] > 2)
            leader.stop()
            until(lambda: not state_of(shadow)["link"]["up"])
            # 10 s without a word of it, and there is no book: nobody trades with a stale quote.
            until(lambda: state_of(shadow)["symbols"]["BTCUSDT"]["is_stale"])
            until(lambda: not asked(f"{shadow.rest}/api/v3/depth?symbol=BTCUSDT")["asks"])
            assert state_of(shadow)["link"]["failed"] >= 2  # it tries on, and backs off
            assert state_of(shadow)["link"]["failed"] < 40
            until(lambda: "no fresh top of BTCUSDT" in shadow.errors())  # it looks once a second
            leader = SimProcess(**leading).start()
            until(lambda: not state_of(shadow)["symbols"]["BTCUSDT"]["is_stale"])
            assert until(lambda: asked(f"{shadow.rest}/api/v3/depth?symbol=BTCUSDT")["asks"])
            said = until(lambda: _both_told(shadow.errors()))
            assert said.index("lost the market of sim") < said.index("no fresh top of BTCUSDT")
    finally:
        leader.stop()


def _both_told(said: str) -> str:
    """What was said, once it tells of the loss and of both returns."""
    return said if said.count("follows sim") == 2 and said.count("a fresh top") == 2 else ""


def test_orders_are_matched_here_and_none_reaches_the_followed_venue(
    leader: SimProcess, tmp_path: Path
) -> None:
    roomy = {"market_data_age_ms_max": "20000", "valuation_age_ms_max": "60000"}
    # The preset values its portfolio in symbols that this shadow does not follow.
    options = follow(leader, symbols=SYMBOLS)
    with BotBox(tmp_path, sim=options, caps=roomy) as box:
        keys = box.keys["ft"]
        bot = RawBot(box.address, keys.api_key, keys.secret)
        bought = bot.call(
            "POST", "order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.0002"
        )
        assert bought.status == 200, bought.body
        assert bought.body["status"] in {"FILLED", "EXPIRED"}  # no more than the followed top has
        resting = bot.rest("mine", 0.9)
        assert resting.status == 200, resting.body
        placed = [row["order_id"] for row in box.sim.ledger()["orders"]]
        assert {bought.body["orderId"], resting.body["orderId"]} <= set(placed)
        approved = box.journal("order_approved")
        assert len(approved) == len(placed) == 2
        assert {line["mode"] for line in approved} == {"sim"}
        assert box.status()["mode"] == "sim"
        box.must("stop", "--yes", "--reason", "test")
        seen = leader.ledger()
        assert seen["orders"] == []
        assert {row["name"] for row in seen["wire"]} - _own_questions() <= PUBLIC
        _counts_as_no_testnet(box, tmp_path)


def _own_questions() -> set[str]:
    """What this file asks the followed venue itself."""
    return {"REST GET /api/v3/trades"}


def _counts_as_no_testnet(box: BotBox, directory: Path) -> None:
    """The product's own judge of evidence, on the journal that the session left."""
    done = CliRunner().invoke(
        promote_command,
        [str(box.directory / "state" / "journal"), "--out-dir", str(directory / "out")],
    )
    decided = json.loads((directory / "out" / "promotion_decision.json").read_text())
    assert decided["decision"] not in {"PROMOTE", "GO"}, done.output
    assert {one["code"] for one in decided["reasons"]} >= {"NOT_TESTNET", "NO_TESTNET_SESSION"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--follow", "sim"), "needs --follow-rest and --follow-streams"),
        (
            ("--follow", "sim", "--follow-rest", "http://testnet.binance.vision",
             "--follow-streams", "ws://127.0.0.1:1"),
            "loopback only",
        ),
        (
            ("--follow", "sim", "--follow-rest", "http://127.0.0.1:1",
             "--follow-streams", "wss://stream.binance.com:9443"),
            "loopback only",
        ),
        (
            ("--follow", "binance-spot-testnet", "--follow-rest", "https://api.binance.com"),
            "built in; name none",
        ),
        (("--follow-rest", "http://127.0.0.1:1"), "need --follow sim"),
        (("--follow", "binance-spot"), "is not one of"),
        (
            ("--follow", "binance-spot-testnet", "--replay", "any.csv"),
            "leave one of them out",
        ),
        (
            ("--follow", "sim", "--follow-rest", "http://127.0.0.1:1",
             "--follow-streams", "ws://127.0.0.1:1"),
            "127.0.0.1",
        ),
    ],
)  # fmt: skip
def test_only_checked_addresses_are_followed(options: tuple[str, ...], says: str) -> None:
    done = CliRunner().invoke(sim_command, list(options))
    assert done.exit_code == 2
    assert says in done.stderr
    assert done.stdout == ""


def test_a_symbol_that_is_not_listed_there_is_named(leader: SimProcess) -> None:
    with pytest.raises(RuntimeError, match="does not list ADAUSDT"):
        SimProcess(**follow(leader, symbols="BTCUSDT,ADAUSDT")).start()


def test_the_testnets_addresses_are_the_built_in_ones_and_need_no_network_to_be_checked() -> None:
    endpoints = followed_venue(SimOptions(follow="binance-spot-testnet"))
    assert endpoints is not None
    assert (endpoints.rest, endpoints.streams) == (
        "https://testnet.binance.vision",
        "wss://stream.testnet.binance.vision",
    )
    assert followed_venue(SimOptions()) is None


def test_its_accounts_outlive_an_orderly_end(leader: SimProcess, tmp_path: Path) -> None:
    options = follow(leader, state=tmp_path / "shadow", seed=9)
    with SimProcess(**options) as shadow:
        until(lambda: state_of(shadow)["symbols"]["BTCUSDT"]["tops"])
        resting = shadow.signed(
            "POST", "order", symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC",
            quantity="0.001", price="50000",
        )  # fmt: skip
    with SimProcess(**options) as again:
        until(lambda: not state_of(again)["symbols"]["BTCUSDT"]["is_stale"])
        (kept,) = again.signed("GET", "openOrders")
        assert (kept["orderId"], kept["status"]) == (resting["orderId"], "NEW")
        asks = [
            asked(f"{one.rest}/api/v3/depth?symbol=BTCUSDT")["asks"][0][0]
            for one in (leader, again)
        ]
        assert float(asks[0]) == pytest.approx(float(asks[1]), rel=0.01)
