"""Caps of one bot in a running daemon: they bind and suspend that bot; another trades on."""

from pathlib import Path

from evidence.judge.decision_recheck import recheck
from tests.support.bot_box import BotBox
from tests.support.raw_bot import RawBot

CAPS = "orders_open_max = 1\nloss_streak_max = 2"


def bot_of(box: BotBox, name: str) -> RawBot:
    return RawBot(box.address, box.keys[name].api_key, box.keys[name].secret)


def lose(bot: RawBot) -> None:
    """A round trip at the market, which pays the spread and two fees."""
    for side, quantity in (("BUY", "0.001"), ("SELL", "0.0009")):  # the first fee is paid in BTC
        told = bot.call("POST", "order", symbol="BTCUSDT", side=side, type="MARKET",
                        quantity=quantity)  # fmt: skip
        assert told.status_word == "FILLED"


def test_a_bot_over_its_own_caps_is_denied_then_suspended_and_the_other_trades_on(
    tmp_path: Path,
) -> None:
    with BotBox(tmp_path, bots=("one", "two"), caps_of_bots={"one": CAPS}) as box:
        one, two = bot_of(box, "one"), bot_of(box, "two")
        assert one.rest("first", 0.95).status == 200
        over = one.rest("second", 0.94)
        assert over.code == -2010
        assert "orders_open_total" in over.body["msg"]
        assert "orders_open_max" in over.body["msg"], "the cap is named"
        one.call("DELETE", "openOrders", symbol="BTCUSDT")
        lose(one)
        assert box.status()["bots"]["one"]["state"] == "active"
        lose(one)
        status = box.until(lambda status: status["bots"]["one"]["state"] == "suspended")
        assert "loss_streak_max" in status["bots"]["one"]["reason"]
        assert status["trading_state"] == "ACTIVE"
        assert not status["incidents"]
        assert "suspended" in one.buy().body["msg"]
        assert status["bots"]["two"]["state"] == "active"
        lose(two)
        for number in range(2):  # what binds one bot binds no other
            assert two.rest(f"o{number}", 0.93 - number / 100).status == 200
        assert len(box.open_at_venue()) == 2
        alerts = [line for line in box.journal("cap_alert") if line["kind"] == "breach"]
        assert {line["bot"] for line in alerts} == {"one"}
        box.must("stop", "--reason", "test")
    checked = recheck([tmp_path / "state" / "journal"])
    assert checked["is_agreed"], checked
    assert checked["checked"] == 10
